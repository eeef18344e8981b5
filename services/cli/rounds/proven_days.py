"""Reads the sealed days of a round, and checks that the log proves them and that none was left out (docs/rounds.md §2)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from hashlib import sha256
from itertools import pairwise

from services.cli.rounds.evidence import DAYS, EVIDENCE
from services.core.errors import Fault, StateError
from services.dataset.days import Manifest, SealedFile, read_leaf
from services.dataset.log import LogProof, VerifierKey
from services.dataset.rounds import ROUND_FILE, FrozenRound
from services.dataset.storage import Storage


@dataclass(frozen=True, slots=True)
class _ProvenDay:
    """A manifest whose proof holds."""

    manifest: Manifest
    proof: LogProof

    @property
    def day(self) -> str:
        return self.manifest.day

    def is_next_after(self, former: _ProvenDay) -> bool:
        """Return whether its leaf follows that of a former day in the same log."""
        same = self.proof.checkpoint.body == former.proof.checkpoint.body
        return same and self.proof.index == former.proof.index + 1


def read_manifests(storage: Storage, frozen: FrozenRound, key: VerifierKey, faults: list[Fault]) -> list[Manifest]:
    """Return the manifests of a round's days that are proven.

    Add to ``faults`` what is wrong with manifests, with their proofs by this key, or with the files of proven days. So is
    a day that was left out, and evidence that no manifest names: rows of a day that looks as if it were not sealed would
    count.
    """
    wanted = sorted({*frozen.days, *frozen.around})
    proven = [one for day in wanted for one in _proven(storage, day, key, faults)]
    found = [one.manifest for one in proven if one.day in frozen.days]
    files = [file for manifest in found for file in manifest.files]
    faults += [fault for file in files for fault in _differs(storage, file)]
    if len(proven) == len(wanted):
        faults += _left_out(proven, frozen)
        named = {_proof_name(day) for day in wanted} | {_manifest_name(day) for day in wanted}
        named |= {f"{EVIDENCE}/{file.path}" for file in files}
        unnamed = sorted({*storage.names(EVIDENCE)} - named)
        faults += [Fault(name, 0, 0, "no manifest of a day of the round names it") for name in unnamed]
    return found


def _proven(storage: Storage, day: str, key: VerifierKey, faults: list[Fault]) -> Iterator[_ProvenDay]:
    """Yield a day if it is proven; otherwise add to ``faults`` why not."""
    try:
        leaf = storage.read(_manifest_name(day))
        manifest = read_leaf(leaf)
        proof = LogProof.parse(storage.read(_proof_name(day)).decode())
    except (StateError, ValueError) as error:
        faults.append(Fault(_manifest_name(day), 0, 0, str(error)))
        return
    if not isinstance(manifest, Manifest) or manifest.day != day:
        faults.append(Fault(_manifest_name(day), 0, 0, f"it is not the manifest of {day}"))
    elif unproven := proof.faults(leaf, [key]):
        faults += [Fault(_proof_name(day), 0, 0, fault) for fault in unproven]
    else:
        yield _ProvenDay(manifest, proof)


def _left_out(proven: Sequence[_ProvenDay], frozen: FrozenRound) -> Iterator[Fault]:
    """Yield a fault for each place at which the log may have another day of the round.

    The days that a provisional round takes before they are sealed are in a log of its own, after the others.
    """
    if not proven:
        yield Fault(ROUND_FILE, 0, 0, "it names no day with evidence")
        return
    logs = 1
    for former, later in pairwise(proven):
        if later.is_next_after(former):
            continue
        logs += 1
        if not (frozen.provisional and logs == 2 and later.proof.index == 0):
            why = (
                f"it does not follow {former.day} in one log: a day between them was left out, or one is of another log"
            )
            yield Fault(_proof_name(later.day), 0, 0, why)
    first, last = proven[0], proven[-1]
    if first.proof.index and first.day > frozen.record:
        yield Fault(ROUND_FILE, 0, 0, f"nothing shows that the log has no day from {frozen.record} to {first.day}")
    final = (date.fromisoformat(frozen.end) - timedelta(days=1)).isoformat()
    taken = frozen.end if frozen.provisional else final
    if last.day < final and not frozen.provisional:
        yield Fault(ROUND_FILE, 0, 0, f"nothing shows that the log has no day after {last.day} up to {final}")
    for one in proven:
        if (one.day in frozen.days) is not (frozen.record <= one.day <= taken):
            yield Fault(
                ROUND_FILE, 0, 0, f"it has {one.day} in the wrong place: its evidence is of {frozen.record} to {final}"
            )


def _differs(storage: Storage, file: SealedFile) -> Iterator[Fault]:
    """Yield what is wrong with a sealed file. Its rows follow from its bytes, and are counted later."""
    path = f"{EVIDENCE}/{file.path}"
    try:
        if sha256(storage.read(path)).hexdigest() != file.sha256:
            yield Fault(path, 0, 0, "its bytes are not those that were sealed")
    except StateError as error:
        yield Fault(path, 0, 0, str(error))


def _manifest_name(day: str) -> str:
    return f"{DAYS}/{day}.json"


def _proof_name(day: str) -> str:
    return f"{DAYS}/{day}.tlog-proof"
