"""Checkpoints: the size and the root of the log, signed by it and cosigned by witnesses (c2sp.org/tlog-checkpoint). Pure."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from services.dataset.log.keys import LOG, SigningKey, VerifierKey

_HASH_BYTES: Final = 32
_ID_BYTES: Final = 4
_TIME_BYTES: Final = 8
_MAX_BYTES: Final = 64 << 10  # of a note: some hundred signatures
_DECIMAL: Final = re.compile(r"0|[1-9][0-9]{0,17}")
_DASH: Final = "\N{EM DASH}"


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature of a note: the name of its key, the four bytes that identify the key, and the signature."""

    name: str
    key_id: bytes
    value: bytes

    @classmethod
    def parse(cls, line: str) -> Signature:
        """Parse a line of a note. Raises ValueError."""
        dash, _, signed = line.partition(" ")
        name, _, encoded = signed.partition(" ")
        value = _base64(encoded)
        if dash != _DASH or not name or len(value) <= _ID_BYTES:
            raise ValueError("a line of a signature is not a dash, a name and a signature")
        return cls(name, value[:_ID_BYTES], value[_ID_BYTES:])

    def is_of(self, key: VerifierKey) -> bool:
        """Return whether the signature claims to be by this key."""
        return (self.name, self.key_id) == (key.name, key.id)

    def __str__(self) -> str:
        return f"{_DASH} {self.name} {base64.b64encode(self.key_id + self.value).decode()}"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The head of a log: its origin, its number of leaves, their root, and its signatures."""

    origin: str
    size: int
    root: bytes
    signatures: tuple[Signature, ...] = ()

    @property
    def body(self) -> str:
        """The text that is signed."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"

    @classmethod
    def parse(cls, text: str) -> Checkpoint:
        """Parse a checkpoint; signatures are not verified. Raises ValueError."""
        body, separator, signed = text.rpartition("\n\n")
        if len(text) > _MAX_BYTES or not separator:
            raise ValueError("it is not a signed note")
        try:
            origin, size, encoded = body.split("\n")
        except ValueError as error:
            raise ValueError("it is not a checkpoint of three lines") from error
        root = _base64(encoded)
        if not origin or not _DECIMAL.fullmatch(size) or len(root) != _HASH_BYTES:
            raise ValueError("it has no origin, size and root")
        if not signed.endswith("\n"):
            raise ValueError("its last line has no end")
        return cls(origin, int(size), root, tuple(map(Signature.parse, signed[:-1].split("\n"))))

    def signed(self, key: SigningKey) -> Checkpoint:
        """Return the checkpoint with the signature of its log, in place of an earlier one by this key."""
        return self._with(key.public, key.sign(self.body.encode()))

    def cosigned(self, key: SigningKey, time: int) -> Checkpoint:
        """Return the checkpoint with a witness's cosignature at a time in epoch seconds (c2sp.org/tlog-cosignature)."""
        return self._with(key.public, time.to_bytes(_TIME_BYTES, "big") + key.sign(self._cosigned_message(time)))

    def is_signed_by(self, key: VerifierKey) -> bool:
        """Return whether it has a signature by this key. Raises ValueError when such a signature is wrong."""
        found = False
        for signature in self.signatures:
            if signature.is_of(key):
                if not self._verifies(signature, key):
                    raise ValueError(f"the signature of {key.name} is wrong")
                found = True
        return found

    def __str__(self) -> str:
        return self.body + "\n" + "".join(f"{signature}\n" for signature in self.signatures)

    def _with(self, key: VerifierKey, value: bytes) -> Checkpoint:
        others: Iterable[Signature] = (signature for signature in self.signatures if not signature.is_of(key))
        return replace(self, signatures=(*others, Signature(key.name, key.id, value)))

    def _verifies(self, signature: Signature, key: VerifierKey) -> bool:
        if key.kind == LOG:
            return key.verify(self.body.encode(), signature.value)
        time = int.from_bytes(signature.value[:_TIME_BYTES], "big")
        return key.verify(self._cosigned_message(time), signature.value[_TIME_BYTES:])

    def _cosigned_message(self, time: int) -> bytes:
        return f"cosignature/v1\ntime {time}\n{self.body}".encode()


def _base64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError as error:
        raise ValueError("it is not base64") from error
