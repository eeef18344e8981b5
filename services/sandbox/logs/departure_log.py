"""Writes the log of the departures of the traffic, which findings about exchanges must report.

``departures.ndjson``, beside the truth log: a line each, ``{kind, service, from, to}``: calls of the X-Road service
depart in slots [from, to).
"""

from __future__ import annotations

from pathlib import Path

from services.sandbox.exchanges import SimulatedTraffic
from services.sandbox.logs.json_lines import JsonLinesFile, encode_line


class DepartureLog(JsonLinesFile):
    """The log of a run, written before its departures take effect. Raises StateError when it cannot be written."""

    def __init__(self, path: Path, traffic: SimulatedTraffic) -> None:
        """Open the log empty: its lines follow from the run, so that a resumed run writes them again."""
        super().__init__(path, ())
        self._traffic = traffic
        self._slot = traffic.first_slot

    def advance(self, slot: int) -> None:
        """Write all departures that begin up to the slot after ``slot``; call this every slot."""
        first, end = self._traffic.first_slot, slot + 2
        self.append(
            encode_line({"kind": one.kind, "service": one.service, "from": first + one.start, "to": first + one.end})
            for one in self._traffic.departures(self._slot, end)
        )
        self._slot = max(self._slot, end)
