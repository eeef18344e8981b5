"""Writes and reads the evidence of a round: sealed days with their manifests and proofs (docs/rounds.md §2)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from hashlib import sha256

from services.core.errors import Fault, SettingsError, StateError
from services.core.model import Policy
from services.dataset.days import (
    EvidenceDays,
    LogFiles,
    Manifest,
    SealedFile,
    Sealer,
    SealingContext,
    list_segments,
    manifests,
    read_leaf,
)
from services.dataset.log import LogProof, SigningKey, VerifierKey
from services.dataset.rounds import FrozenRound
from services.dataset.storage import Storage
from services.dataset.tables import BATCH, STREAM_KINDS

EVIDENCE = "evidence"
"""The folder of a round's evidence."""

_DAYS = f"{EVIDENCE}/days"


def copy_sealed(source: Storage, target: Storage, days: Sequence[str], key: VerifierKey) -> list[Manifest]:
    """Copy those of some days that are sealed, with their manifests and proofs; return their manifests.

    Raises SettingsError for a key that did not sign the log, and StateError for what is not as it was sealed.
    """
    log = LogFiles(source)
    leaves = log.leaves()
    copied = []
    for place, manifest in manifests(leaves):
        if manifest.day in days:
            proof = log.prove(leaves, place)
            _check_proof(source, manifest.day, leaves[place], proof, key)
            for file in manifest.files:
                content = source.read(file.path)
                if sha256(content).hexdigest() != file.sha256:
                    raise StateError(f"{file.path} in {source.address} has bytes that are not those that were sealed")
                target.write(f"{EVIDENCE}/{file.path}", content)
            _write_proof(target, manifest.day, leaves[place], proof)
            copied.append(manifest)
    return copied


def newest_sealed_day(source: Storage) -> str:
    """Return the newest day that is sealed, "" before the first.

    Days are sealed in order: an earlier day without a manifest has no rows, and never will.
    """
    return max((manifest.day for _, manifest in manifests(LogFiles(source).leaves())), default="")


def open_days(source: Storage, days: Sequence[str]) -> list[str]:
    """Return those of some days that are not sealed and have rows."""
    found = {segment.day for kind in STREAM_KINDS for segment in list_segments(source, kind)}
    return sorted(found.intersection(days))


def seal_open(
    source: Storage, target: Storage, days: Sequence[str], key: SigningKey, policy: Policy, sealed: Sequence[Manifest]
) -> list[Manifest]:
    """Seal days that are not over, in the round itself and by a log of its own; return their manifests.

    They follow days that are already ``sealed``.
    """
    inside = EvidenceFolder(target)
    evidence_days = EvidenceDays(policy.timezone, policy.grace_seconds, policy.slot_seconds)
    for kind in (*STREAM_KINDS, BATCH):
        for segment in list_segments(source, kind):
            if segment.day in days or kind is BATCH:  # batches are under the day on which they were stored
                inside.write(segment.name, source.read(segment.name))
    sealer, log = Sealer(inside, key, evidence_days, earlier=sealed), LogFiles(inside)
    for day in days:
        sealer.seal(day, SealingContext())
    leaves = log.leaves()
    found = manifests(leaves)
    for place, manifest in found:
        _write_proof(target, manifest.day, leaves[place], log.prove(leaves, place))
    for name in (*inside.names("log"), *inside.names("open")):
        inside.remove(name)
    return [manifest for _, manifest in found]


def read_manifests(
    storage: Storage, frozen: FrozenRound, key: VerifierKey | None, faults: list[Fault]
) -> list[Manifest]:
    """Return the manifests of a round's days that are proven.

    Add to ``faults`` what is wrong with manifests, with their proofs by this key, or with the files of proven days. So is
    evidence that no manifest names: rows of a day that looks as if it were not sealed would count.
    """
    found = []
    named = {f"{_DAYS}/{day}{suffix}" for day in frozen.days for suffix in (".json", ".tlog-proof")}
    for day in frozen.days:
        name = f"{_DAYS}/{day}.json"
        try:
            leaf = storage.read(name)
            manifest = read_leaf(leaf)
            proof = LogProof.parse(storage.read(f"{_DAYS}/{day}.tlog-proof").decode())
        except (StateError, ValueError) as error:
            faults.append(Fault(name, 0, 0, str(error)))
            continue
        if manifest.day != day:
            faults.append(Fault(name, 0, 0, f"it is not the manifest of {day}"))
            continue
        unproven = [] if key is None else list(proof.faults(leaf, [key]))
        if unproven:
            faults += [Fault(f"{_DAYS}/{day}.tlog-proof", 0, 0, fault) for fault in unproven]
            continue
        faults += [fault for file in manifest.files for fault in _differs(storage, file)]
        found.append(manifest)
    if len(found) == len(frozen.days):
        named |= {f"{EVIDENCE}/{file.path}" for manifest in found for file in manifest.files}
        unnamed = sorted({*storage.names(EVIDENCE)} - named)
        faults += [Fault(name, 0, 0, "no manifest of a day of the round names it") for name in unnamed]
    return found


def _differs(storage: Storage, file: SealedFile) -> Iterator[Fault]:
    """Yield what is wrong with a sealed file. Its rows follow from its bytes, and are counted later."""
    path = f"{EVIDENCE}/{file.path}"
    try:
        if sha256(storage.read(path)).hexdigest() != file.sha256:
            yield Fault(path, 0, 0, "its bytes are not those that were sealed")
    except StateError as error:
        yield Fault(path, 0, 0, str(error))


def days_between(first: date, last: date) -> Iterator[str]:
    """Yield the days from ``first`` to ``last``, exclusive."""
    for number in range(first.toordinal(), last.toordinal()):
        yield date.fromordinal(number).isoformat()


class EvidenceFolder:
    """The folder of a round's evidence, as a storage."""

    def __init__(self, storage: Storage) -> None:
        self.address = f"{storage.address}/{EVIDENCE}"
        self._storage = storage

    def names(self, folder: str = "") -> list[str]:
        """Return the names of all files below a folder, sorted."""
        names = self._storage.names(f"{EVIDENCE}/{folder}".rstrip("/"))
        return [name.removeprefix(f"{EVIDENCE}/") for name in names]

    def read(self, name: str) -> bytes:
        """Return a file's content."""
        return self._storage.read(f"{EVIDENCE}/{name}")

    def write(self, name: str, content: bytes) -> None:
        """Write a whole file, or replace one."""
        self._storage.write(f"{EVIDENCE}/{name}", content)

    def remove(self, name: str) -> None:
        """Remove a file."""
        self._storage.remove(f"{EVIDENCE}/{name}")


def _check_proof(source: Storage, day: str, leaf: bytes, proof: LogProof, key: VerifierKey) -> None:
    try:
        signed = proof.checkpoint.is_signed_by(key)
    except ValueError as error:
        raise StateError(f"the checkpoint of the log in {source.address} is damaged: {error}") from error
    if not signed:
        raise SettingsError(
            f"this key of {key.name} did not sign the log in {source.address}, so nobody could verify the round: give the "
            "private key of the archive (--sign)"
        )
    if faults := proof.faults(leaf, [key]):
        raise StateError(f"the manifest of {day} in {source.address} cannot be proven: {faults[0]}")


def _write_proof(target: Storage, day: str, leaf: bytes, proof: LogProof) -> None:
    if f"{_DAYS}/{day}.json" in target.names(_DAYS):
        raise SettingsError(f"the log has two manifests of {day}")
    target.write(f"{_DAYS}/{day}.json", leaf)
    target.write(f"{_DAYS}/{day}.tlog-proof", str(proof).encode())
