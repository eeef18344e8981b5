"""Holds the counts of one client and service in one slot, which can be added and subtracted (docs/exchange.md §3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from services.core.model import DURATION_BUCKETS, ExchangeSummary, Parties

BOUNDS: Final = tuple(2 ** (i / 2) for i in range(DURATION_BUCKETS - 1))
"""Bounds of the histogram in ms.

A duration is in the first bucket whose bound is at least as large; the last bucket has none.
"""


class SummaryCounts:
    """Counts of one (client, service, slot).

    Every field is a whole number, so adding an exchange and subtracting it again changes nothing. The skew is kept in half
    milliseconds.
    """

    __slots__ = ("buckets", "numbers")

    FIELDS = (
        "count",
        "ok",
        "bus_failures",
        "provider_failures",
        "request_bytes",
        "response_bytes",
        "orphans",
        "skew_halves",
        "skew_count",
        "duration_ms",
        "repeats",
    )

    SUMS = ("request_bytes", "response_bytes", "skew_halves", "duration_ms")
    """The fields that are sums of what records claim; the others are counts of records."""

    def __init__(self, numbers: list[int], buckets: list[int]) -> None:
        self.numbers, self.buckets = numbers, buckets

    def add(self, other: SummaryCounts) -> None:
        """Add other counts."""
        self.numbers = [one + more for one, more in zip(self.numbers, other.numbers, strict=True)]
        self.buckets = [one + more for one, more in zip(self.buckets, other.buckets, strict=True)]

    @property
    def paired(self) -> int:
        """Number of exchanges with both sides."""
        return self.numbers[0] - self.numbers[6]

    def __bool__(self) -> bool:
        return any(self.numbers) or any(self.buckets)


@dataclass(frozen=True, slots=True)
class PendingSummary:
    """A summary with the number of its pair, so that it can be marked as published."""

    pair: int
    summary: ExchangeSummary


def to_summary(parties: Parties, slot_start: int, revision: int, counts: SummaryCounts) -> ExchangeSummary:
    """Return the counts as a summary. It replaces those of the same (client, service, slot) with a lower revision."""
    numbers: dict[str, Any] = dict(zip(SummaryCounts.FIELDS, counts.numbers, strict=True))
    skew_halves, duration_ms = numbers.pop("skew_halves"), numbers.pop("duration_ms")
    return ExchangeSummary(
        client=parties.client,
        service=parties.service,
        slot_start=slot_start,
        revision=revision,
        meta=parties.meta,
        skew_ms_sum=skew_halves / 2,
        duration_buckets=tuple(counts.buckets),
        duration_ms_sum=float(duration_ms),
        **numbers,
    )
