"""Writes the log of the replies that were sent.

``access.ndjson``: ``{link, slot, time, sent}`` for every reply written: ``ok``, a mode, or ``not_found``.
"""

from __future__ import annotations

from pathlib import Path

from services.sandbox.logs.json_lines import JsonLinesFile, encode_line


class AccessLog(JsonLinesFile):
    """The access log; lines are buffered until ``flush``. Raises StateError when it cannot be written."""

    def __init__(self, path: Path, *, resumed: bool) -> None:
        """Open the log; a resumed one keeps its lines."""
        super().__init__(path, None if resumed else ())
        self._lines: list[bytes] = []

    def add(self, link: str, slot: int, time: float, sent: str) -> None:
        """Add one reply written at ``time`` (epoch seconds), in the state of ``slot``."""
        self._lines.append(encode_line({"link": link, "slot": slot, "time": round(time, 6), "sent": sent}))

    def flush(self) -> None:
        """Write the buffered lines."""
        if self._lines:
            self.append(self._lines)
            self._lines.clear()

    def close(self) -> None:
        """Write the buffered lines and close the file."""
        self.flush()
        super().close()
