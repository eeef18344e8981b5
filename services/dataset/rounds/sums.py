"""SHA256SUMS of a round, as sha256sum reads it, and the note that signs it (c2sp.org/signed-note)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import Final

from services.core.errors import Fault, StateError
from services.dataset.log import Signature, SigningKey, VerifierKey
from services.dataset.storage import Storage

SUMS: Final = "SHA256SUMS"
SIGNED_SUMS: Final = "SHA256SUMS.note"


def sums_of(storage: Storage) -> str:
    """Return the sums of all files of a round. Raises StateError."""
    names = (name for name in storage.names() if name not in (SUMS, SIGNED_SUMS))
    return "".join(f"{sha256(storage.read(name)).hexdigest()}  {name}\n" for name in names)


def sign_sums(sums: str, key: SigningKey) -> str:
    """Return the sums as a signed note."""
    return f"{sums}\n{Signature(key.name, key.public.id, key.sign(sums.encode()))}\n"


def named_sums(sums: str) -> Mapping[str, str]:
    """Return the SHA-256 of each file that SHA256SUMS names, in hex."""
    return {line[66:]: line[:64] for line in sums.splitlines() if line[64:66] == "  "}


def wrong_sums(storage: Storage, key: VerifierKey) -> Iterator[Fault]:
    """Yield every difference from the sums, and every fault of their signature by this key."""
    texts = {}
    for name in (SUMS, SIGNED_SUMS):
        try:
            texts[name] = storage.read(name).decode()
        except (StateError, UnicodeDecodeError) as error:
            yield Fault(name, 0, 0, str(error))
    sums = texts.get(SUMS, "")
    if SIGNED_SUMS in texts and not is_signed(texts[SIGNED_SUMS], sums, key):
        yield Fault(SIGNED_SUMS, 0, 0, f"it is not {SUMS} signed by the key of {key.name} with id {key.id.hex()}")
    said = named_sums(sums)
    found = {name for name in storage.names() if name not in (SUMS, SIGNED_SUMS)}
    for name in sorted(found | said.keys()):
        if name not in said:
            yield Fault(name, 0, 0, f"{SUMS} does not name it")
        elif name not in found:
            yield Fault(name, 0, 0, "it is missing")
        elif sha256(storage.read(name)).hexdigest() != said[name]:
            yield Fault(name, 0, 0, "its bytes are not those that were frozen")


def is_signed(note: str, sums: str, key: VerifierKey) -> bool:
    """Return whether a note is these sums, signed by this key."""
    if not note.startswith(f"{sums}\n") or not note.endswith("\n"):
        return False
    try:
        signature = Signature.parse(note[len(sums) + 1 : -1])
    except ValueError:
        return False
    return signature.is_of(key) and key.verify(sums.encode(), signature.value)
