"""The log of a dataset as files: one per leaf, and the checkpoint over all of them (docs/archive.md §3)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from services.core.errors import StateError
from services.dataset.days.key_change import KeyChange, KeyChangeError, is_key_change, key_changes
from services.dataset.days.manifest import Manifest, read_leaf
from services.dataset.log import LOG, Checkpoint, LogProof, SigningKey, VerifierKey, inclusion_proof, leaf_hash, root
from services.dataset.storage import Storage

_LEAVES: Final = "log/entries"
_CHECKPOINT: Final = "log/checkpoint"
_ANOTHER_WRITES: Final = "another archive may write there; end one of the two"


class LogFiles:
    """The leaves and the checkpoint of a dataset. Methods raise StateError when a file cannot be read or written."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def leaves(self) -> list[bytes]:
        """Return the content of every leaf, in order. Raises StateError when one is missing between others."""
        names = self._storage.names(_LEAVES)
        if names != [leaf_name(number) for number in range(len(names))]:
            raise self._fault(_LEAVES, "does not have every leaf of the log")
        return [self._storage.read(name) for name in names]

    def checkpoint(self) -> Checkpoint | None:
        """Return the checkpoint; None before the first leaf."""
        if _CHECKPOINT not in self._storage.names("log"):
            return None
        try:
            return Checkpoint.parse(self._storage.read(_CHECKPOINT).decode())
        except ValueError as error:
            raise self._fault(_CHECKPOINT, f"is damaged: {error}") from error

    def read(self) -> tuple[list[bytes], Checkpoint | None]:
        """Return every leaf, and the checkpoint of the same moment, also while the archive seals a day."""
        before = self.checkpoint()
        while True:
            leaves, checkpoint = self.leaves(), self.checkpoint()
            if checkpoint == before:
                return leaves, checkpoint
            before = checkpoint  # leaves that it covers may have been written after they were listed

    def manifests(self, leaves: Sequence[bytes] | None = None) -> list[tuple[int, Manifest]]:
        """Return the manifests among ``leaves``, by default all of the log, each with its place.

        Raises StateError for one that cannot be read.
        """
        found = []
        for number, content in enumerate(self.leaves() if leaves is None else leaves):
            try:
                leaf = read_leaf(content)
            except ValueError as error:
                raise self._fault(leaf_name(number), f"is damaged: {error}") from error
            if isinstance(leaf, Manifest):
                found.append((number, leaf))
        return found

    def append(self, leaf: bytes, key: SigningKey) -> Checkpoint:
        """Add a leaf and sign all of them. The leaf is written before the checkpoint that covers it.

        It is refused as in ``sign``, for a day that is not after the last sealed one, and if another archive wrote a leaf in
        its place meanwhile.
        """
        self.sign(key)
        leaves = self.leaves()
        added, sealed = read_leaf(leaf), max((manifest.day for _, manifest in self.manifests(leaves)), default="")
        if isinstance(added, Manifest) and added.day <= sealed:
            why = f"has a leaf of {sealed}, and none of {added.day} may follow it: {_ANOTHER_WRITES}"
            raise self._fault("the log", why)
        return self._sign(self._add(leaf, leaves), key)

    def change_key(self, former: SigningKey, new: SigningKey) -> Checkpoint:
        """Add a leaf from which on the ``new`` key signs, and sign all leaves with both keys.

        Finish it where a crash interrupted it. It is refused as in ``append``, for the ``former`` key.
        """
        if new.public == former.public or (new.name, new.kind) != (former.name, LOG):
            raise StateError(
                f"the new key must be another key of a log of the name {former.name}: make it with `peyvand archive key`"
            )
        leaves, checkpoint = self.read()
        if leaves and leaves[-1] == KeyChange.of(former, new.public, leaves[:-1]).leaf():
            if checkpoint and checkpoint.size == len(leaves):
                self.sign(new)
                return checkpoint
            self._check(leaves[:-1], checkpoint, former.public)
        else:
            if self.sign(former) is None:
                raise StateError(
                    f"{self._storage.address} holds no sealed day, whose key could change: name the folder that has log/"
                )
            leaves = self._add(KeyChange.of(former, new.public, leaves).leaf(), leaves)
        return self._sign(leaves, former, new)

    def sign(self, key: SigningKey) -> Checkpoint | None:
        """Sign a leaf that a crash left without a checkpoint; return the checkpoint over all leaves.

        It is refused if the leaves do not begin with those of the checkpoint, if the key has not signed it or is no longer
        the key of the log, and for what a crash cannot leave: who may write to the storage does not have the key.
        """
        leaves, checkpoint = self.leaves(), self.checkpoint()
        if self._check(leaves, checkpoint, key.public) == len(leaves):
            return checkpoint
        self._check_order(leaves)
        return self._sign(leaves, key)

    def prove(self, leaves: Sequence[bytes], checkpoint: Checkpoint | None, index: int) -> LogProof:
        """Return the proof of one of the ``leaves``, as ``read`` returns them.

        Raises StateError when the checkpoint has it not, or is over other leaves: such a proof would lead to no root.
        """
        if checkpoint is None or index >= checkpoint.size:
            raise StateError(f"no checkpoint in {self._storage.address} has leaf {index}")
        hashes = [leaf_hash(leaf) for leaf in leaves[: checkpoint.size]]
        self._check_leaves(hashes, checkpoint)
        return LogProof(index, tuple(inclusion_proof(hashes, index)), checkpoint)

    def require_key(self, leaves: Sequence[bytes], key: VerifierKey) -> None:
        """Raise StateError when the leaves of the log name another key after this one."""
        try:
            changes = key_changes(leaves)
        except KeyChangeError as error:
            raise self._fault(leaf_name(error.index), f"cannot be read: {error}") from error
        if changes and changes[-1][1].key != str(key):
            index, change = changes[-1]
            why = (
                f"changed the key of the log, and this one has id {key.id.hex()}: give the private key of {change.key}"
            )
            raise self._fault(leaf_name(index), why)

    def _add(self, leaf: bytes, leaves: Sequence[bytes]) -> list[bytes]:
        """Write a leaf after these, unless another one is there by now (docs/adr/0128); return all."""
        name = leaf_name(len(leaves))
        if not self._storage.create(name, leaf):
            raise self._fault(name, f"is another leaf by now: {_ANOTHER_WRITES}")
        return [*leaves, leaf]

    def _check(self, leaves: Sequence[bytes], checkpoint: Checkpoint | None, key: VerifierKey) -> int:
        """Refuse leaves that this key may not sign: not more than one may be without a checkpoint. Return how many are with."""
        signed = checkpoint.size if checkpoint else 0
        if checkpoint:
            self.require_key(leaves[:signed], key)
            self._check_signature(checkpoint, key)
            self._check_leaves([leaf_hash(leaf) for leaf in leaves[:signed]], checkpoint)
        if signed + 1 < len(leaves):
            why = f"has {len(leaves) - signed} leaves after its checkpoint of {signed}, and a crash leaves one"
            raise self._fault("the log", f"{why}: restore all of it")
        return signed

    def _check_leaves(self, hashes: Sequence[bytes], checkpoint: Checkpoint) -> None:
        """Refuse the hashes of other leaves than those of a checkpoint."""
        if len(hashes) != checkpoint.size or root(hashes) != checkpoint.root:
            why = "it was changed or restored from an older copy; restore all of it"
            raise self._fault("the log", f"does not begin with the {checkpoint.size} leaves of its checkpoint: {why}")

    def _check_signature(self, checkpoint: Checkpoint, key: VerifierKey) -> None:
        try:
            signed = checkpoint.is_signed_by(key)
        except ValueError as error:
            raise self._fault(_CHECKPOINT, f"is damaged: {error}; restore the whole log") from error
        if not signed:
            why = f"is not signed by this key of {key.name} with id {key.id.hex()}"
            raise self._fault(_CHECKPOINT, f"{why}: give the key that signed it, or begin another dataset")

    def _check_order(self, leaves: Sequence[bytes]) -> None:
        """Refuse a last leaf that is not of a later day. A second manifest of a day would replace the first one."""
        last = leaf_name(len(leaves) - 1)
        days = [manifest.day for _, manifest in self.manifests(leaves)]
        if is_key_change(leaves[-1]):
            why = "changes the key of the log, and no checkpoint has it"
            raise self._fault(last, f"{why}: run `peyvand archive change-key` again, with the same two keys")
        if days[-1] <= max(days[:-1], default=""):
            raise self._fault(last, "is not of a day after those of the leaves before: restore the log")

    def _sign(self, leaves: Sequence[bytes], *keys: SigningKey) -> Checkpoint:
        checkpoint = Checkpoint(keys[0].name, len(leaves), root([leaf_hash(leaf) for leaf in leaves]))
        for key in keys:
            checkpoint = checkpoint.signed(key)
        self._storage.write(_CHECKPOINT, str(checkpoint).encode())
        return checkpoint

    def _fault(self, name: str, why: str) -> StateError:
        return StateError(f"{name} in {self._storage.address} {why}")


def signed_leaves(leaves: Sequence[bytes], checkpoint: Checkpoint | None) -> Sequence[bytes]:
    """Return the leaves that the checkpoint covers. A crash may leave one more."""
    return leaves[: checkpoint.size if checkpoint else 0]


def leaf_name(number: int) -> str:
    """Return the name of the file of a leaf."""
    return f"{_LEAVES}/{number:06}.json"
