"""Verifies a frozen round from its folder alone: ``peyvand round verify`` (docs/rounds.md §2)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from services.cli.rounds.derived import compute_round, derived_files
from services.cli.rounds.evidence import FOLDER, Subfolder, read_manifests
from services.cli.rounds.reading import moves_since, register_in, round_in
from services.cli.rounds.report import report_files, tools
from services.core.errors import Fault, SettingsError, StateError
from services.dataset.log import VerifierKey
from services.dataset.rounds import FrozenRound, wrong_sums
from services.dataset.storage import LocalStorage
from services.indicator.index import METHOD_VERSION
from services.scorer.archived import ArchivedEvidence, Engine, here


@dataclass(frozen=True, slots=True)
class Verified:
    """What was verified: the round, what is wrong with it, and whether its numbers and reports were made again."""

    frozen: FrozenRound
    faults: tuple[Fault, ...]
    computed: bool
    reports: bool


def verify_round(folder: Path, key: VerifierKey | None, *, engine: Engine = here) -> Verified:
    """Verify hashes, signature and proofs; then compute every number again, and set the reports where that can be done here.

    Without a ``key`` that of the round itself is taken, which only shows that it does not contradict itself. ``engine`` counts
    the days. Raises StateError where there is no round.
    """
    storage = LocalStorage(folder)
    frozen = round_in(storage)
    try:
        own = VerifierKey.parse(frozen.key)
    except ValueError as error:
        raise StateError(f"round.json in {folder} names no key: {error}") from error
    faults = list(wrong_sums(storage, key or own))
    manifests = read_manifests(storage, frozen, key or own, faults)
    computed = not faults and frozen.method_version == METHOD_VERSION
    reports = computed and _same_tools(frozen)
    if computed:
        try:
            register = register_in(storage, frozen)
            archive = ArchivedEvidence(Subfolder(storage, FOLDER), manifests)
            numbers = compute_round(
                archive, register, as_of=frozen.as_of, window_days=frozen.window_days, engine=engine
            )
            files = derived_files(frozen, numbers)
            if reports:
                files |= report_files(frozen, numbers, moves_since(storage, frozen, numbers))
        except (StateError, ValueError) as error:
            faults.append(Fault(str(folder), 0, 0, str(error)))
        else:
            faults += [
                Fault(name, 0, 0, "it is not what follows from the evidence and the register")
                for name, content in files.items()
                if storage.read(name) != content
            ]
    return Verified(frozen, tuple(sorted(set(faults))), computed, reports)


def _same_tools(frozen: FrozenRound) -> bool:
    try:
        return dict(frozen.tools) == tools()
    except SettingsError:
        return False
