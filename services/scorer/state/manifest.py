"""The manifest of a state folder: which messages the files beside it include, and which files exist."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import date

import orjson

from services.core.model import StreamPosition


@dataclass(frozen=True, slots=True)
class StateManifest:
    """It is written last, so that everything it includes is on disk.

    ``position`` is the last message of MEASUREMENTS ingested. ``time`` is the latest storing time (epoch seconds) of a
    message up to it, 0 for none. ``register_version`` is the register in force. ``end_slot`` is the end of the last published index.
    ``hour`` and ``day`` are those of the last indicators sent to INDICATORS. These three are None before the first.
    ``begun`` is when the stream was recreated (epoch seconds), if that was accepted: what was stored before cannot be
    read again.
    """

    position: StreamPosition
    time: float = 0.0
    register_version: str = ""
    end_slot: int | None = None
    hour: int | None = None
    day: int | None = None
    begun: float | None = None


@dataclass(frozen=True, slots=True)
class SavedState:
    """The content of the file: the manifest, and the ``slots`` and ``days`` that have a file."""

    manifest: StateManifest
    slots: frozenset[int]
    days: frozenset[date]

    def encode(self) -> bytes:
        """Return the content of the file."""
        content = {**asdict(self.manifest), "slots": sorted(self.slots), "days": sorted(self.days)}
        return orjson.dumps(content, option=orjson.OPT_APPEND_NEWLINE)

    @classmethod
    def decode(cls, content: bytes | memoryview) -> SavedState:
        """Read the content of the file. Raises ValueError, KeyError or TypeError for other content."""
        fields = orjson.loads(content)
        position = StreamPosition(**fields.pop("position"))
        slots, days = frozenset(fields.pop("slots")), frozenset(map(date.fromisoformat, fields.pop("days")))
        return cls(StateManifest(position, **fields), slots, days)
