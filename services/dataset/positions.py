"""How far each stream is in the dataset; positions move once the segments up to them are durable (docs/archive.md §2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Final

import orjson

from services.core.canonical_json import canonical_json
from services.core.errors import StateError
from services.dataset.storage import BadSectorError, Storage

if TYPE_CHECKING:
    from services.dataset.tables import Kind  # it loads pyarrow, which a scorer seldom needs

_FORMAT: Final = 1
"""Counts up with every change that an earlier version would read wrongly."""


@dataclass(frozen=True, slots=True)
class MissingMessages:
    """Messages ``first`` to ``last`` that were gone before they were read; ``last`` is 0 where their number is unknown.

    They were stored at ``since`` at the earliest and at ``until`` at the latest, in epoch seconds.
    """

    first: int
    last: int
    since: float
    until: float

    @property
    def count(self) -> int:
        """The number of messages, at least."""
        return max(1, self.last - self.first + 1)

    def sentence(self, stream: str) -> str:
        """Describe the missing messages, for a manifest."""
        since, until = (f"{datetime.fromtimestamp(one, UTC):%Y-%m-%dT%H:%M:%SZ}" for one in (self.since, self.until))
        numbers = f"messages {self.first} to {self.last}" if self.last else f"messages from {self.first} on"
        return f"{numbers} of stream {stream}, stored from {since} to {until}, were gone before they were archived"


@dataclass(frozen=True, slots=True)
class SegmentCount:
    """The number of segments of one kind and day that were written; they begin at message ``first`` of the stream."""

    first: int
    count: int


@dataclass(frozen=True, slots=True)
class ArchivedUpTo:
    """How far a stream is in the dataset: up to the message ``sequence``.

    ``created`` is when the stream was created, as the server writes it. Everything that it stored up to ``stored``
    (epoch seconds) is in the dataset. ``generation`` is that of its segments. ``gaps`` are the missing messages of days
    not sealed yet. ``segments`` counts the segments of this generation and of days not sealed yet, by their group, so
    that a missing one is noticed.
    """

    stream: str
    created: str
    sequence: int
    stored: float
    generation: int = 0
    gaps: tuple[MissingMessages, ...] = ()
    segments: Mapping[str, SegmentCount] = field(default_factory=dict)


def read_position(storage: Storage, kind: Kind) -> ArchivedUpTo | None:
    """Return how far a kind is in the dataset; None before anything was read. Raises StateError."""
    name = _name(kind)
    return _read(storage, name) if name in storage.names("open") else None


def read_positions(storage: Storage) -> dict[str, ArchivedUpTo]:
    """Return how far each stream is in the dataset, by its name. Raises StateError."""
    found = [_read(storage, name) for name in storage.names("open") if name.endswith(".json")]
    return {archived.stream: archived for archived in found}


def _read(storage: Storage, name: str) -> ArchivedUpTo:
    try:
        fields = orjson.loads(storage.read(name))
        _check(fields, f"{name} in {storage.address}")
        gaps = tuple(MissingMessages(**gap) for gap in fields.get("gaps", ()))
        segments = {group: SegmentCount(*numbers) for group, numbers in fields.get("segments", {}).items()}
        return ArchivedUpTo(**fields["position"], stored=float(fields["stored"]), gaps=gaps, segments=segments)
    except (BadSectorError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise StateError(f"{name} in {storage.address} is damaged; remove it, and evidence is read again") from error


def _check(fields: dict[str, object], name: str) -> None:
    """Compare the checksum. Raises KeyError and ValueError for damage, and StateError for the format of a newer version."""
    if fields.pop("checksum") != _checksum(fields):
        raise ValueError
    if fields["format"] != _FORMAT:
        raise StateError(f"a newer version of Peyvand wrote {name}: run that version")


def _checksum(fields: Mapping[str, object]) -> str:
    return sha256(canonical_json(fields)).hexdigest()


def write_position(storage: Storage, kind: Kind, archived: ArchivedUpTo) -> None:
    """Record how far a kind is in the dataset, durably. Raises StateError."""
    position: dict[str, object] = {
        "stream": archived.stream,
        "created": archived.created,
        "sequence": archived.sequence,
    }
    position |= {"generation": archived.generation} if archived.generation else {}
    gaps = {"gaps": [asdict(gap) for gap in archived.gaps]} if archived.gaps else {}
    segments = {group: [counted.first, counted.count] for group, counted in archived.segments.items()}
    fields = {"format": _FORMAT, "position": position, "stored": archived.stored, "segments": segments, **gaps}
    storage.write(_name(kind), canonical_json({**fields, "checksum": _checksum(fields)}))


def _name(kind: Kind) -> str:
    return f"open/{kind.name}.json"
