"""Writes the evidence of a round: sealed days with their manifests and proofs (docs/rounds.md §2)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from hashlib import sha256

from services.core.errors import SettingsError, StateError
from services.core.model import Policy
from services.dataset.days import (
    EvidenceDays,
    LogFiles,
    Manifest,
    Sealer,
    SealingContext,
    key_changes,
    leaf_name,
    list_segments,
    signed_leaves,
)
from services.dataset.log import LogProof, SigningKey, VerifierKey
from services.dataset.storage import Storage
from services.dataset.tables import BATCH, STREAM_KINDS

EVIDENCE = "evidence"
"""The folder of a round's evidence."""

DAYS = f"{EVIDENCE}/days"
"""The folder of the manifests and proofs of days."""

KEYS = f"{EVIDENCE}/keys"
"""The folder of the changes of the log's key, and of their proofs."""


def copy_sealed(
    source: Storage, target: Storage, days: Sequence[str], key: VerifierKey
) -> tuple[list[Manifest], tuple[str, ...]]:
    """Copy those of some days that are sealed, with their manifests and proofs; return their manifests.

    Also copy every change of the log's key, with its proof, so that the round is verified by any key that the log had.
    If the first or the last of the days is not sealed, also write the manifest and the proof of the sealed day before or
    after them, which show that no day was left out. Return the days of these. Raises SettingsError for a key that did not
    sign the log, and StateError for one that signs it no more or for what is not as it was sealed.
    """
    log = LogFiles(source)
    leaves, checkpoint = log.read()
    proven = signed_leaves(leaves, checkpoint)
    sealed = log.manifests(proven)
    log.require_key(proven, key)
    for place, _ in key_changes(proven):
        proof = log.prove(leaves, checkpoint, place)
        _check_proof(source, leaf_name(place), leaves[place], proof, key)
        _write_proof(target, f"{KEYS}/{place:06}", leaves[place], proof)
    copied = [(place, manifest) for place, manifest in sealed if manifest.day in days]
    around = _around(sealed, copied, days)
    for place, manifest in sorted([*copied, *around], key=lambda one: one[0]):
        proof = log.prove(leaves, checkpoint, place)
        _check_proof(source, f"the manifest of {manifest.day}", leaves[place], proof, key)
        for file in manifest.files if manifest.day in days else ():
            content = source.read(file.path)
            if sha256(content).hexdigest() != file.sha256:
                raise StateError(f"{file.path} in {source.address} has bytes that are not those that were sealed")
            target.write(f"{EVIDENCE}/{file.path}", content)
        _write_proof(target, f"{DAYS}/{manifest.day}", leaves[place], proof)
    return [manifest for _, manifest in copied], tuple(manifest.day for _, manifest in around)


def _around(
    sealed: Sequence[tuple[int, Manifest]], copied: Sequence[tuple[int, Manifest]], days: Sequence[str]
) -> list[tuple[int, Manifest]]:
    """Return the leaves beside those of some ``days``, where the first or the last of these has none."""
    if not copied:
        return []
    earliest, latest = copied[0][1], copied[-1][1]
    first, last = sealed.index(copied[0]), sealed.index(copied[-1])
    before = sealed[max(first - 1, 0) : first] if earliest.day > days[0] else []
    after = sealed[last + 1 : last + 2] if latest.day < days[-1] else []
    return [*before, *after]


def newest_sealed_day(source: Storage) -> str:
    """Return the newest day that is sealed, "" before the first.

    Days are sealed in order: an earlier day without a manifest has no rows, and never will. A leaf without a checkpoint,
    as a crash leaves it, cannot prove that yet.
    """
    log = LogFiles(source)
    return max((one.day for _, one in log.manifests(signed_leaves(*log.read()))), default="")


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
    leaves, checkpoint = log.read()
    found = log.manifests(leaves)
    for place, manifest in found:
        _write_proof(target, f"{DAYS}/{manifest.day}", leaves[place], log.prove(leaves, checkpoint, place))
    for name in (*inside.names("log"), *inside.names("open")):
        inside.remove(name)
    return [manifest for _, manifest in found]


def days_between(first: date, last: date) -> Iterator[str]:
    """Yield the days from ``first`` to ``last``, exclusive."""
    for number in range(first.toordinal(), last.toordinal()):
        yield date.fromordinal(number).isoformat()


class EvidenceFolder(Storage):
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


def _check_proof(source: Storage, what: str, leaf: bytes, proof: LogProof, key: VerifierKey) -> None:
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
        raise StateError(f"{what} in {source.address} cannot be proven: {faults[0]}")


def _write_proof(target: Storage, name: str, leaf: bytes, proof: LogProof) -> None:
    if f"{name}.json" in target.names(name.rpartition("/")[0]):
        raise SettingsError(f"the log has two manifests of {name.removeprefix(f'{DAYS}/')}")
    target.write(f"{name}.json", leaf)
    target.write(f"{name}.tlog-proof", str(proof).encode())
