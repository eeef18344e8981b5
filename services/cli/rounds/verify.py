"""Verifies a frozen round from its folder alone: ``peyvand round verify`` (docs/rounds.md §2)."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from stat import S_ISDIR, S_ISLNK, S_ISREG

from services.cli.rounds.derived import compute_round, derived_files, end_of_round, record_of
from services.cli.rounds.evidence import EVIDENCE, EvidenceFolder
from services.cli.rounds.proven_days import read_manifests, signer_of
from services.cli.rounds.reading import PREVIOUS_FILE, moves_since, register_in, round_in
from services.cli.rounds.report import REPORTS, report_files
from services.cli.rounds.tools import why_not_set, why_only_rows
from services.core.errors import Fault, StateError
from services.core.files import PART
from services.core.model import Register
from services.dataset.log import VerifierKey
from services.dataset.rounds import INDICATORS_FILE, ROUND_FILE, SIGNED_SUMS, SUMS, FrozenRound, named_sums, wrong_sums
from services.dataset.storage import LocalStorage
from services.indicator.method_version import METHOD_VERSION
from services.scorer.archived import ArchivedEvidence, Engine, here


@dataclass(frozen=True, slots=True)
class Verified:
    """The result of a verification: the round, its faults, and whether its numbers were computed again.

    ``unchecked`` says in sentences what was not made again, or not compared to the last bit.
    """

    frozen: FrozenRound
    faults: tuple[Fault, ...]
    computed: bool
    unchecked: tuple[str, ...] = ()


def verify_round(folder: Path, key: VerifierKey | None, *, engine: Engine = here) -> Verified:
    """Verify hashes, signature and proofs; then compute every number again, and set the reports where their tools are.

    ``key`` is one that the log had up to the round. Without one, that of the round itself is used, which only shows that
    the round is consistent. ``engine`` counts the days. Raises StateError where there is no round.
    """
    strays = tuple(_strays(folder))
    if any(fault.file == ROUND_FILE for fault in strays):
        raise StateError(f"{ROUND_FILE} in {folder} is no file")
    frozen = round_in(LocalStorage(folder))
    if strays:  # nothing is read through a link
        return Verified(frozen, strays, computed=False)
    storage = _SummedFiles(folder)
    try:
        own = VerifierKey.parse(frozen.key)
    except ValueError as error:
        raise StateError(f"round.json in {folder} names no key: {error}") from error
    faults = list[Fault]()
    signer = signer_of(storage, key or own, faults)
    faults += wrong_sums(storage, signer)
    manifests = read_manifests(storage, frozen, signer, faults)
    by_this_method = frozen.method_version == METHOD_VERSION
    computed = by_this_method and not faults
    unchecked = [] if by_this_method else [_of_another_method(frozen)]
    if computed:
        not_set, only_rows = why_not_set(frozen), why_only_rows(frozen)
        unchecked += _taken_as_it_is(frozen, not_set, only_rows)
        try:
            register = register_in(storage, frozen)
            archive = ArchivedEvidence(EvidenceFolder(storage), manifests)
            faults += _wrong_description(frozen, archive, register)
            numbers = compute_round(
                archive, register, as_of=frozen.as_of, window_days=frozen.window_days, engine=engine
            )
            files = derived_files(frozen, numbers, storage.read(INDICATORS_FILE) if only_rows else None)
            moves = moves_since(storage, frozen, numbers)
            if not not_set:
                files |= report_files(frozen, numbers, moves)
        except (StateError, ValueError) as error:
            faults.append(Fault(str(folder), 0, 0, str(error)))
        else:
            there = set(storage.names())
            faults += [Fault(name, 0, 0, "the round lacks it") for name in {*files, *REPORTS} - there]
            faults += [
                Fault(name, 0, 0, "it is not what follows from the evidence and the register")
                for name, content in files.items()
                if name in there and storage.read(name) != content
            ]
            # What is neither evidence nor computed in every verification.
            others = {SUMS, SIGNED_SUMS, ROUND_FILE, *REPORTS, *([PREVIOUS_FILE] if frozen.previous else [])}
            faults += [
                Fault(name, 0, 0, "it is no file of a round")
                for name in there - files.keys() - others
                if not name.startswith(f"{EVIDENCE}/")
            ]
    return Verified(frozen, tuple(sorted(set(faults))), computed, tuple(unchecked))


def _wrong_description(frozen: FrozenRound, archive: ArchivedEvidence, register: Register) -> Iterator[Fault]:
    """Yield a fault for each field of round.json that says other than what follows from its days, evidence and register."""
    end, policy = date.fromisoformat(frozen.end), register.policy
    follows: dict[str, object] = {
        "as_of": end_of_round(archive, policy, end, provisional=frozen.provisional),
        "evidence_sequence": archive.last_sequence,
        "record": record_of(end, frozen.window_days).isoformat(),
        "timezone": policy.timezone,
    }
    for name, value in follows.items():
        if (said := getattr(frozen, name)) != value:
            yield Fault(ROUND_FILE, 0, 0, f"{name} is {said}, and {value} follows from the rest of the round")


def _strays(folder: Path) -> Iterator[Fault]:
    """Yield a fault for each link, which leads out of the round, each device, and each file left over from writing."""
    for parent, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(parent, name)
            mode = path.lstat().st_mode
            if S_ISLNK(mode):
                why = "it is a link: a round holds its files itself"
            elif not (S_ISREG(mode) or S_ISDIR(mode)):
                why = "it is no file"
            elif S_ISREG(mode) and name.endswith(PART):
                why = f"it is left over from writing, and {SUMS} does not name it"
            else:
                continue
            yield Fault(str(path.relative_to(folder)), 0, 0, why)


class _SummedFiles(LocalStorage):
    """The files of a round. Beside the sums, only those that SHA256SUMS names are read, whatever other files name."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._readable: Collection[str] = (SUMS, SIGNED_SUMS)
        try:
            named = named_sums(self.read(SUMS).decode())
        except (StateError, UnicodeDecodeError):
            named = {}  # which is a fault of its own
        self._readable = {*self._readable, *named.keys() & set(self.names())}

    def read(self, name: str) -> bytes:
        """Return a file's content."""
        if name not in self._readable:
            raise StateError(f"{name} in {self.address} is no file that {SUMS} names")
        return super().read(name)


def _taken_as_it_is(frozen: FrozenRound, not_set: str, only_rows: str) -> Iterator[str]:
    """Yield a sentence for each part of a round of this method that is not made again to the last bit."""
    if not_set:
        yield f"its reports were not set again, and only their hashes were checked: {not_set}"
    if only_rows:
        yield only_rows
    if frozen.previous:
        yield (
            f"{PREVIOUS_FILE} was taken as it is, and the reports say by it what changed: compare its hash with that of "
            f"{INDICATORS_FILE} in the round {frozen.previous!r}"
        )


def _of_another_method(frozen: FrozenRound) -> str:
    return (
        f"its numbers are of method {frozen.method_version!r}: neither they nor its reports were made again, and only their "
        f"hashes were checked; Peyvand {frozen.software!r} makes them"
    )
