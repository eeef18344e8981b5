"""The manifest of a sealed day: its files and what they hold, as canonical JSON (docs/archive.md §3). Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from typing import Any, Final

import orjson
from pydantic import TypeAdapter, ValidationError

from services.core.canonical_json import canonical_json

FORMAT: Final = 1


@dataclass(frozen=True, slots=True)
class SealedFile:
    """One file of a day: where it is, its size in bytes and its rows, the SHA-256 of the file and that of the rows themselves."""

    path: str
    kind: str
    size: int
    rows: int
    sha256: str
    content: str

    @classmethod
    def of(cls, path: str, kind: str, data: bytes, rows: int, content: str) -> SealedFile:
        """Describe a file by its bytes."""
        return cls(path, kind, len(data), rows, sha256(data).hexdigest(), content)


@dataclass(frozen=True, slots=True)
class StreamSpan:
    """The messages of a stream from which rows of the day came; ``created`` is when the stream was, as the server writes it."""

    stream: str
    created: str
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """What is known of one sealed day.

    ``start`` and ``end`` are the day's in epoch seconds, by its timezone. ``versions`` are the registers in force, each
    ``register_version.probe_version``. ``counts`` are rows of measurements by vantage and prober. ``gaps`` are sentences about
    what is known to be missing. ``late`` marks rows that came after their days were sealed: then ``day`` is that of sealing.
    """

    day: str
    timezone: str
    start: int
    end: int
    files: tuple[SealedFile, ...]
    versions: tuple[str, ...] = ()
    streams: tuple[StreamSpan, ...] = ()
    counts: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    gaps: tuple[str, ...] = ()
    method_version: str = ""
    software: str = ""
    late: bool = False
    format: int = FORMAT
    type: str = "day"

    def leaf(self) -> bytes:
        """Return it as canonical JSON: sorted keys, no spaces, UTF-8. This is the leaf of the log."""
        return canonical_json(asdict(self))


@dataclass(frozen=True, slots=True)
class KeyChange:
    """A leaf that says which key signs from here on; the checkpoint that has it first is signed by both keys."""

    key: str
    format: int = FORMAT
    type: str = "key"

    def leaf(self) -> bytes:
        """Return it as canonical JSON."""
        return canonical_json(asdict(self))


_ADAPTERS: Final[dict[str, TypeAdapter[Any]]] = {"day": TypeAdapter(Manifest), "key": TypeAdapter(KeyChange)}


def read_leaf(leaf: bytes) -> Manifest | KeyChange:
    """Return what a leaf says. Raises ValueError when it is none, or not canonical."""
    try:
        fields = orjson.loads(leaf)
        value: Manifest | KeyChange = _ADAPTERS[fields["type"]].validate_python(fields)
    except (orjson.JSONDecodeError, KeyError, TypeError, ValidationError) as error:
        raise ValueError("not a leaf of the log") from error
    if value.leaf() != leaf:
        raise ValueError("a leaf that is not canonical JSON")
    return value
