"""The manifest of a state folder: which messages the files beside it include."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import orjson

from services.core.bus import StreamPosition
from services.core.errors import StateError

_FORMAT = 1  # of everything in the folder
_REMEDY = "move its folder away to start anew from what MEASUREMENTS still holds"


@dataclass(frozen=True, slots=True)
class StateManifest:
    """It is written last, so that everything it includes is on disk.

    ``position`` is the last message of MEASUREMENTS taken in; ``time`` the latest storing time (epoch seconds) of a readable
    one; ``register_version`` the register in force; ``end_slot`` the end of the last published index (None before the
    first); ``hour`` and ``day`` those of the last indicators sent to INDICATORS (None before the first).
    """

    position: StreamPosition
    time: float = 0.0
    register_version: str = ""
    end_slot: int | None = None
    hour: int | None = None
    day: int | None = None

    def encode(self) -> bytes:
        """Return the content of the file."""
        return orjson.dumps({"format": _FORMAT, **asdict(self)}, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)

    @classmethod
    def decode(cls, content: bytes, where: str) -> StateManifest:
        """Read the content of the file ``where``. Raises StateError when it is not a manifest."""
        try:
            fields: dict[str, Any] = orjson.loads(content)
            if (found := fields.pop("format")) != _FORMAT:
                raise StateError(f"{where} has format {found}, and this version reads {_FORMAT}: {_REMEDY}")
            position = StreamPosition(**fields.pop("position"))
            return cls(position, **fields)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise StateError(f"{where} is not a manifest of the scorer: {_REMEDY}") from error
