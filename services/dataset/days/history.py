"""The log of a dataset as files: one per leaf, and the checkpoint over all of them (docs/archive.md §3)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from services.core.errors import StateError
from services.dataset.days.manifest import Manifest, read_leaf
from services.dataset.log import Checkpoint, LogProof, SigningKey, VerifierKey, inclusion_proof, leaf_hash, root
from services.dataset.storage import Storage

_LEAVES: Final = "log/entries"
_CHECKPOINT: Final = "log/checkpoint"


class LogFiles:
    """The leaves and the checkpoint of a dataset. Methods raise StateError when a file cannot be read or written."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def leaves(self) -> list[bytes]:
        """Return the content of every leaf, in order. Raises StateError when one is missing between others."""
        names = self._storage.names(_LEAVES)
        if names != [_leaf_name(number) for number in range(len(names))]:
            raise StateError(f"{_LEAVES} in {self._storage.address} does not have every leaf of the log")
        return [self._storage.read(name) for name in names]

    def checkpoint(self) -> Checkpoint | None:
        """Return the checkpoint; None before the first leaf."""
        if _CHECKPOINT not in self._storage.names("log"):
            return None
        try:
            return Checkpoint.parse(self._storage.read(_CHECKPOINT).decode())
        except ValueError as error:
            raise StateError(f"{_CHECKPOINT} in {self._storage.address} is damaged: {error}") from error

    def read(self) -> tuple[list[bytes], Checkpoint | None]:
        """Return every leaf, and the checkpoint of the same moment, also while the archive seals a day."""
        before = self.checkpoint()
        while True:
            leaves, checkpoint = self.leaves(), self.checkpoint()
            if checkpoint == before:
                return leaves, checkpoint
            before = checkpoint  # leaves that it covers may have been written after they were listed

    def append(self, leaf: bytes, key: SigningKey) -> Checkpoint:
        """Add a leaf and sign all of them. The leaf is written before the checkpoint that covers it.

        Signing is refused if the leaves do not begin with those of the existing checkpoint, or if the key has not signed it.
        """
        self.sign(key)
        leaves = self.leaves()
        self._storage.write(_leaf_name(len(leaves)), leaf)
        return self._sign([*leaves, leaf], key)

    def sign(self, key: SigningKey) -> Checkpoint | None:
        """Sign a leaf that a crash left without a checkpoint; return the checkpoint over all leaves.

        Who may write to the storage does not have the key, so what a crash cannot leave is refused.
        """
        leaves, checkpoint = self.leaves(), self.checkpoint()
        signed = checkpoint.size if checkpoint else 0
        where = f"the log in {self._storage.address}"
        if checkpoint:
            self._check_signature(checkpoint, key.public)
            if signed > len(leaves) or root([leaf_hash(leaf) for leaf in leaves[:signed]]) != checkpoint.root:
                raise StateError(
                    f"{where} does not begin with the {signed} leaves of its checkpoint: it was changed or restored from "
                    "an older copy; restore all of it"
                )
        if signed == len(leaves):
            return checkpoint
        if signed + 1 < len(leaves):
            raise StateError(
                f"{where} has {len(leaves) - signed} leaves after its checkpoint of {signed}, and a crash leaves one: "
                "restore all of it"
            )
        self._check_order(leaves)
        return self._sign(leaves, key)

    def prove(self, leaves: Sequence[bytes], checkpoint: Checkpoint | None, index: int) -> LogProof:
        """Return the proof of one of the ``leaves``, as ``read`` returns them. Raises StateError when the checkpoint has it not."""
        if checkpoint is None or index >= checkpoint.size:
            raise StateError(f"no checkpoint in {self._storage.address} has leaf {index}")
        hashes = [leaf_hash(leaf) for leaf in leaves[: checkpoint.size]]
        return LogProof(index, tuple(inclusion_proof(hashes, index)), checkpoint)

    def _check_signature(self, checkpoint: Checkpoint, key: VerifierKey) -> None:
        where = f"{_CHECKPOINT} in {self._storage.address}"
        try:
            signed = checkpoint.is_signed_by(key)
        except ValueError as error:
            raise StateError(f"{where} is damaged: {error}; restore the whole log") from error
        if not signed:
            raise StateError(
                f"{where} is not signed by this key of {key.name} with id {key.id.hex()}: give the key that signed it, or "
                "begin another dataset"
            )

    def _check_order(self, leaves: Sequence[bytes]) -> None:
        """Refuse a last leaf that is not of a later day. A second manifest of a day would replace the first one."""
        try:
            days = [read_leaf(leaf).day for leaf in leaves]
        except ValueError as error:
            raise StateError(f"a leaf of the log in {self._storage.address} cannot be read: {error}") from error
        if days[-1] <= max(days[:-1], default=""):
            name = _leaf_name(len(leaves) - 1)
            raise StateError(
                f"{name} in {self._storage.address} is not of a day after those of the leaves before: restore the log"
            )

    def _sign(self, leaves: Sequence[bytes], key: SigningKey) -> Checkpoint:
        checkpoint = Checkpoint(key.name, len(leaves), root([leaf_hash(leaf) for leaf in leaves])).signed(key)
        self._storage.write(_CHECKPOINT, str(checkpoint).encode())
        return checkpoint


def manifests(leaves: Sequence[bytes]) -> list[tuple[int, Manifest]]:
    """Return the manifests of a log's leaves, each with its place. Raises ValueError for an item that is not a leaf."""
    return [(number, read_leaf(leaf)) for number, leaf in enumerate(leaves)]


def _leaf_name(number: int) -> str:
    return f"{_LEAVES}/{number:06}.json"
