"""Named Ed25519 keys of a log, which signs checkpoints, or a witness, which cosigns them (c2sp.org/signed-note)."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from services.core.errors import SettingsError, reason_of

LOG, WITNESS = 0x01, 0x04
"""Types of signatures: of a note, and of a checkpoint with the time of its cosignature."""

_PREFIX: Final = "PRIVATE+KEY"
_ID_BYTES, _SEED_BYTES = 4, 32


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A public key of 32 bytes with the name of its owner and its type, LOG or WITNESS."""

    name: str
    kind: int
    public: bytes

    @property
    def id(self) -> bytes:
        """The four bytes by which a signature names its key."""
        return _key_id(self.name, self.kind, self.public)

    @classmethod
    def parse(cls, text: str) -> VerifierKey:
        """Parse ``name+id+key``. Raises ValueError."""
        name, identifier, public = _parts(text)
        key = cls(name, public[0], public[1:])
        if key.kind not in (LOG, WITNESS) or key.id.hex() != identifier:
            raise ValueError("its identifier is not that of its key")
        return key

    def verify(self, message: bytes, signature: bytes) -> bool:
        """Return whether the signature is of this message by this key."""
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, message)
        except (InvalidSignature, ValueError):
            return False
        return True

    def __str__(self) -> str:
        material = base64.b64encode(bytes([self.kind]) + self.public).decode()
        return f"{self.name}+{self.id.hex()}+{material}"


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key, stored in its file as text, with the name of its owner and its type, LOG or WITNESS."""

    name: str
    kind: int
    private: Ed25519PrivateKey

    @classmethod
    def generate(cls, name: str, kind: int = LOG) -> SigningKey:
        """Create a new key. Raises ValueError for a name that no key may have."""
        _check_name(name)
        return cls(name, kind, Ed25519PrivateKey.generate())

    @classmethod
    def read(cls, file: Path, kind: int | None = None) -> SigningKey:
        """Read a key from a file that holds its ``text``. Raises SettingsError, also if it is not of this ``kind``.

        What a key of the other kind signs could not be verified, and could not be signed again.
        """
        try:
            text = file.read_text("utf-8").strip()
            if not text.startswith(_PREFIX + "+"):
                raise ValueError("it is not a private key")  # noqa: TRY301  # told with the file, like the others
            name, identifier, material = _parts(text.removeprefix(_PREFIX + "+"))
            key = cls(name, material[0], Ed25519PrivateKey.from_private_bytes(material[1:]))
            if key.public.id.hex() != identifier:
                raise ValueError("its identifier is not that of its key")  # noqa: TRY301
        except OSError as error:
            raise SettingsError(f"the key {file} cannot be read: {error.strerror}") from error
        except ValueError as error:
            raise SettingsError(
                f"{file} holds no key: {reason_of(error)}; make one with `peyvand archive key`"
            ) from error
        if kind not in (None, key.kind):
            told = {LOG: "a log", WITNESS: "a witness"}
            raise SettingsError(f"{file} holds the key of {told[key.kind]}: name a file with the key of {told[kind]}")
        return key

    @property
    def public(self) -> VerifierKey:
        """The key that verifies what this one signs."""
        return VerifierKey(self.name, self.kind, self.private.public_key().public_bytes_raw())

    def sign(self, message: bytes) -> bytes:
        """Return the signature of a message."""
        return self.private.sign(message)

    def text(self) -> str:
        """Return the private key as its file keeps it."""
        material = base64.b64encode(bytes([self.kind]) + self.private.private_bytes_raw()).decode()
        return f"{_PREFIX}+{self.name}+{self.public.id.hex()}+{material}\n"


def _key_id(name: str, kind: int, public: bytes) -> bytes:
    return sha256(name.encode() + b"\n" + bytes([kind]) + public).digest()[:_ID_BYTES]


def _parts(text: str) -> tuple[str, str, bytes]:
    """Return name, identifier and key with its type. Raises ValueError."""
    parts = text.split("+", 2)  # base64 has pluses of its own
    if len(parts) != 3:  # name, identifier, key
        raise ValueError("it does not read name+identifier+key")
    name, identifier, encoded = parts
    _check_name(name)
    try:
        material = base64.b64decode(encoded, validate=True)
    except ValueError as error:
        raise ValueError("its key is not base64") from error
    if len(material) != 1 + _SEED_BYTES:
        raise ValueError("its key is not of 32 bytes")
    return name, identifier, material


def _check_name(name: str) -> None:
    if not name or "+" in name or any(letter.isspace() or not letter.isprintable() for letter in name):
        raise ValueError("the name of a key is not empty, and has neither spaces nor plus signs")
