"""Parse the NATS protocol as a proxy sees it: operations with a payload, from the bytes of one direction."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

_SIZED = {b"PUB": 1, b"HPUB": 2, b"MSG": 1, b"HMSG": 2}
"""Operations with a payload, and the number of sizes that end their line: that of headers, if any, and the total."""


@dataclass(frozen=True, slots=True)
class Operation:
    """A PUB, HPUB, MSG or HMSG: its ``subject``, the subject for a ``reply`` ("" for none), its headers and payload."""

    name: str
    subject: str
    reply: str
    headers: bytes
    payload: bytes


class Reader:
    """Splits bytes into operations, and skips those without a payload."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[Operation]:
        """Add received bytes, and yield each operation that they complete."""
        self._buffer += data
        while (end := self._buffer.find(b"\r\n")) >= 0:
            words = bytes(self._buffer[:end]).split()
            sizes = _SIZED.get(words[0].upper() if words else b"", 0)
            if not sizes:
                del self._buffer[: end + 2]
                continue
            size = int(words[-1])
            start = end + 2
            if len(self._buffer) < start + size + 2:
                return
            content = bytes(self._buffer[start : start + size])
            del self._buffer[: start + size + 2]
            yield _operation(words, sizes, content)


def _operation(words: list[bytes], sizes: int, content: bytes) -> Operation:
    name, subject, *others = (word.decode() for word in words[: len(words) - sizes])
    if name.upper() in ("MSG", "HMSG"):
        others = others[1:]  # the number of the subscription
    head = int(words[-2]) if sizes == 2 else 0
    return Operation(name.upper(), subject, others[0] if others else "", content[:head], content[head:])
