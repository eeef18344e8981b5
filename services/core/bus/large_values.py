"""Values too large for one message: cut into parts, and put together again only when whole. Pure.

The parts of a value stand under keys of their own, `part.<key>.<generation>.<n>`, the generation being the beginning of
the value's hash; the key itself holds no more than what they must add up to, as a header of the message.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

__all__ = ["MAX_VALUE_BYTES", "PARTS_HEADER", "PARTS_PATTERN", "ValueParts", "join_parts", "key_of_part", "split_value"]

MAX_VALUE_BYTES = 1_000_000
"""Bytes of the largest value that stays whole, and of a part: a message may have 1 MiB, its headers included."""

PARTS_HEADER = "Peyvand-Parts"
"""The header of a message whose value is kept as parts: `<count>-<size>-<sha256>`."""

PARTS_PATTERN = "part.>"
"""Every key of a part."""

_WRITTEN = re.compile(r"([0-9]{1,4})-([0-9]{1,12})-([0-9a-f]{64})", re.ASCII)
_GENERATION = 32  # hexadecimal digits of the hash: enough for two values of one key never to share any


@dataclass(frozen=True, slots=True)
class ValueParts:
    """What the parts of one value add up to: how many, bytes in all, and the hash of the whole."""

    count: int
    size: int
    sha256: str

    @classmethod
    def of(cls, value: bytes) -> ValueParts:
        """Describe a value."""
        return cls(-(-len(value) // MAX_VALUE_BYTES), len(value), sha256(value).hexdigest())

    @classmethod
    def parse(cls, header: str) -> ValueParts:
        """Read a header; one that cannot be read names parts that add up to nothing."""
        found = _WRITTEN.fullmatch(header)
        return cls(int(found[1]), int(found[2]), found[3]) if found else cls(0, -1, header)

    @property
    def header(self) -> str:
        """What a header says of them."""
        return f"{self.count}-{self.size}-{self.sha256}"

    def keys(self, key: str) -> list[str]:
        """Return where the parts of a key's value stand, in order."""
        return [f"part.{key}.{self.sha256[:_GENERATION]}.{at}" for at in range(self.count)]


def split_value(value: bytes) -> list[bytes]:
    """Cut a value into its parts, all but the last of LARGEST bytes."""
    return [value[start : start + MAX_VALUE_BYTES] for start in range(0, len(value), MAX_VALUE_BYTES)]


def join_parts(parts: ValueParts, contents: Sequence[bytes | None]) -> bytes | None:
    """Return the value; None when a part is missing or they are not those of this value."""
    found = [content for content in contents if content is not None]
    if len(found) != len(contents) or sum(map(len, found)) != parts.size:
        return None
    value = b"".join(found)
    return value if sha256(value).hexdigest() == parts.sha256 else None


def key_of_part(part: str) -> str:
    """Return the key whose value a part belongs to."""
    return part.removeprefix("part.").rsplit(".", 2)[0]
