"""Records what the scorer noticed about its own work and the bus since startup, for the index to report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from services.core.bus import MEASUREMENTS, StreamState
from services.core.model import Monitoring, StreamHealth, VantageHealth
from services.scorer.index import TakenBatch


class WorkRecord:
    """Counts since ``since``, in epoch seconds, and the last known state of each stream."""

    def __init__(self, since: float) -> None:
        self._since = int(since)
        self._late = self._refused = 0
        self.rejected = 0
        self.batches_missing = self.batches_broken = 0
        self.behind: int | None = None
        self.streams: Mapping[str, StreamState] = {}
        self.lost: Counter[str] = Counter()
        self.gaps_accepted: Mapping[str, int] = {}

    def taken(self, batch: TakenBatch) -> None:
        """Count the rows that a batch left out."""
        self._late += batch.late
        self._refused += sum(batch.refused.values())

    def report(self, slots_from: int, slots_to: int, vantages: tuple[VantageHealth, ...]) -> Monitoring:
        """Return the report, with the vantages as counted over [slots_from, slots_to) in epoch seconds."""
        return Monitoring(
            slots_from=slots_from,
            slots_to=slots_to,
            vantages=vantages,
            streams=tuple(self._stream(name, state) for name, state in self.streams.items()),
            since=self._since,
            late=self._late,
            refused=self._refused,
            rejected=self.rejected,
            batches_missing=self.batches_missing,
            batches_broken=self.batches_broken,
        )

    def _stream(self, name: str, state: StreamState) -> StreamHealth:
        return StreamHealth(
            stream=name,
            messages=state.messages,
            bytes=state.size,
            limit_bytes=state.limit,
            last_sequence=state.last,
            behind=self.behind if name == MEASUREMENTS else None,
            lost=self.lost[name],
            gaps_accepted=self.gaps_accepted.get(name, 0),
        )
