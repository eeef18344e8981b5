"""The index from measurements in files, by the code that scores live: equal to the last bit."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta

from services.core.codec import ExchangeVolume
from services.core.evidence import ExchangeSummary, MeasurementColumns
from services.core.model import Register
from services.indicator.calendar import Calendar
from services.indicator.frame import Frame
from services.indicator.index import Snapshot, indicators
from services.indicator.window import Evidence
from services.scorer.exchanges import Exchanges

__all__ = ["last_end", "score", "volumes"]


def last_end(batches: Iterable[MeasurementColumns], slot_seconds: int) -> int | None:
    """Return the end of the newest slot measured, in epoch seconds; None without measurements."""
    ends = [int(batch.slot_start.max()) + slot_seconds for batch in batches if len(batch)]
    return max(ends, default=None)


def score(
    register: Register,
    batches: Iterable[MeasurementColumns],
    *,
    at: float,
    windows: Sequence[int] | None = None,
) -> Snapshot:
    """Score whole slots that end by ``at`` (epoch seconds), without settling; nothing is ever too late here."""
    calendar = Calendar.of(register.policy)
    evidence = Evidence(calendar)
    for batch in batches:
        evidence.take(batch)
    return indicators(Frame.of(register), evidence, end_slot=calendar.slot_of(at), windows=windows)


def volumes(
    register: Register, summaries: Iterable[ExchangeSummary], *, at: float, window_days: int
) -> tuple[ExchangeVolume, ...]:
    """Return what each pair of agencies exchanged in the window; of each summary the highest revision counts."""
    calendar = Calendar.of(register.policy)
    exchanges = Exchanges(":memory:")
    try:
        exchanges.take([(row.slot_start, "", [row]) for row in summaries], calendar=calendar)
        return exchanges.volumes(calendar.day_of(calendar.slot_of(at)) - timedelta(days=window_days))
    finally:
        exchanges.close()
