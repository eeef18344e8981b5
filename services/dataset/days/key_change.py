"""Changes of the key of a log, each with the former key's consent (docs/archive.md §3). Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Final, Literal

import orjson
from pydantic import TypeAdapter

from services.core.canonical_json import canonical_json
from services.dataset.log import LOG, Checkpoint, SigningKey, VerifierKey, leaf_hash, root

_END: Final = b'"type":"key"}'
"""How each of these leaves ends, and none of a day. Only they are parsed: those of days are long."""


class KeyChangeError(ValueError):
    """A change of the key that does not count; ``index`` is the place of its leaf."""

    def __init__(self, index: int, reason: str) -> None:
        super().__init__(reason)
        self.index = index


@dataclass(frozen=True, slots=True)
class KeyChange:
    """A leaf from which on another key signs the log.

    ``key`` is the new public key and ``root`` that of all leaves before, in hex. ``consent`` is the former key's signature
    of both, and of the log and the place of the leaf, in hex.
    """

    key: str
    root: str
    consent: str
    format: Literal[1] = 1
    type: Literal["key"] = "key"

    @classmethod
    def of(cls, former: SigningKey, new: VerifierKey, leaves: Sequence[bytes]) -> KeyChange:
        """Return the change to a new key after some leaves. The same keys and leaves make the same bytes."""
        before = Checkpoint(former.name, len(leaves), _root(leaves))
        return cls(str(new), before.root.hex(), former.sign(_statement(str(new), before)).hex())

    @classmethod
    def parse(cls, leaf: bytes) -> KeyChange:
        """Parse a leaf. Raises ValueError when it is not one, or not canonical."""
        try:
            found = _ADAPTER.validate_python(orjson.loads(leaf))
        except ValueError as error:  # those of orjson and pydantic
            raise ValueError("not a leaf of the log") from error
        if found.leaf() != leaf:
            raise ValueError("a leaf that is not canonical JSON")
        return found

    def leaf(self) -> bytes:
        """Return the leaf of the log as canonical JSON."""
        return canonical_json(asdict(self))

    def to(self, index: int, name: str, former: VerifierKey | None) -> VerifierKey:
        """Return the new key, for a leaf at this place of the log of this name.

        Raises KeyChangeError for another log's key, and if the ``former`` key is given and has not consented.
        """
        try:
            new = VerifierKey.parse(self.key)
            before, consent = Checkpoint(name, index, bytes.fromhex(self.root)), bytes.fromhex(self.consent)
        except ValueError as error:
            raise KeyChangeError(index, f"it holds no change of the key: {error}") from error
        if (new.name, new.kind, str(new)) != (name, LOG, self.key) or new == former:
            raise KeyChangeError(index, f"it does not name another key of {name}")
        if former is not None and not former.verify(_statement(self.key, before), consent):
            raise KeyChangeError(
                index, f"the key before, with id {former.id.hex()}, has not consented to it in this place"
            )
        return new


_ADAPTER: Final = TypeAdapter(KeyChange)


def is_key_change(leaf: bytes) -> bool:
    """Return whether a leaf is of a change of the key, and not of a day."""
    return leaf.endswith(_END)


def key_changes(leaves: Sequence[bytes]) -> list[tuple[int, KeyChange]]:
    """Return the changes of the key among a log's leaves, each with its place. Raises KeyChangeError."""
    found = []
    for index, leaf in enumerate(leaves):
        if is_key_change(leaf):
            try:
                found.append((index, KeyChange.parse(leaf)))
            except ValueError as error:
                raise KeyChangeError(index, str(error)) from error
    return found


def key_in_force(changes: Sequence[tuple[int, KeyChange]], key: VerifierKey) -> VerifierKey:
    """Return the key that signs a log after all its changes, from ``key``: its first one or a later one.

    Each change must have the consent of the key before it. That of the first change is not asked for if ``key`` came
    later. Raises KeyChangeError for the first change that does not count.
    """
    former = None if any(change.key == str(key) for _, change in changes) else key
    for index, change in changes:
        former = change.to(index, key.name, former)
    return former or key


def key_of_log(leaves: Sequence[bytes], key: VerifierKey) -> VerifierKey:
    """Return the key that signs these leaves of a log, as ``key_in_force``. Raises KeyChangeError."""
    changes = key_changes(leaves)
    for index, change in changes:
        if change.root != _root(leaves[:index]).hex():
            raise KeyChangeError(index, "its consent is of other leaves than those before it")
    return key_in_force(changes, key)


def _statement(key: str, before: Checkpoint) -> bytes:
    """Return what the former key signs. No checkpoint, cosignature or SHA256SUMS reads so."""
    return f"peyvand-key-change/v1\nkey {key}\n{before.body}".encode()


def _root(leaves: Sequence[bytes]) -> bytes:
    return root([leaf_hash(leaf) for leaf in leaves])
