"""How far each stream is in the dataset: a position moves once the segments up to it are durable (docs/archive.md §2)."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import orjson

from services.core.bus import StreamPosition
from services.core.canonical_json import canonical_json
from services.core.errors import StateError
from services.dataset.storage import Storage


@dataclass(frozen=True, slots=True)
class ArchivedUpTo:
    """A position in a stream, and up to when (epoch seconds) everything that the stream had stored is in the dataset."""

    position: StreamPosition
    stored: float


def read_position(storage: Storage, kind: str) -> ArchivedUpTo | None:
    """Return how far a kind is; None before anything was taken in. Raises StateError."""
    name = _name(kind)
    if name not in storage.names("open"):
        return None
    try:
        fields = orjson.loads(storage.read(name))
        return ArchivedUpTo(StreamPosition(**fields["position"]), float(fields["stored"]))
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
        raise StateError(f"{name} in {storage.address} is damaged; remove it, and evidence is read again") from error


def write_position(storage: Storage, kind: str, archived: ArchivedUpTo) -> None:
    """Record how far a kind is, durably. Raises StateError."""
    storage.write(_name(kind), canonical_json({"position": asdict(archived.position), "stored": archived.stored}))


def _name(kind: str) -> str:
    return f"open/{kind}.json"
