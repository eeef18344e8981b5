"""How far each stream is in the dataset: a position moves once the segments up to it are durable (docs/archive.md §2)."""

from __future__ import annotations

from dataclasses import dataclass

import orjson

from services.core.canonical_json import canonical_json
from services.core.errors import StateError
from services.dataset.storage import Storage
from services.dataset.tables import Kind


@dataclass(frozen=True, slots=True)
class ArchivedUpTo:
    """The last message of a stream that is in the dataset, when the stream was ``created``, as the server writes it, and up to
    when (epoch seconds) everything that it had ``stored`` is in the dataset. ``generation`` is that of its segments.
    """

    stream: str
    created: str
    sequence: int
    stored: float
    generation: int = 0


def read_position(storage: Storage, kind: Kind) -> ArchivedUpTo | None:
    """Return how far a kind is; None before anything was taken in. Raises StateError."""
    name = _name(kind)
    if name not in storage.names("open"):
        return None
    try:
        fields = orjson.loads(storage.read(name))
        return ArchivedUpTo(**fields["position"], stored=float(fields["stored"]))
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
        raise StateError(f"{name} in {storage.address} is damaged; remove it, and evidence is read again") from error


def write_position(storage: Storage, kind: Kind, archived: ArchivedUpTo) -> None:
    """Record how far a kind is, durably. Raises StateError."""
    position: dict[str, object] = {
        "stream": archived.stream,
        "created": archived.created,
        "sequence": archived.sequence,
    }
    position |= {"generation": archived.generation} if archived.generation else {}
    storage.write(_name(kind), canonical_json({"position": position, "stored": archived.stored}))


def _name(kind: Kind) -> str:
    return f"open/{kind.name}.json"
