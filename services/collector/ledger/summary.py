"""The counts of one client and service in one slot, which can be added and subtracted (docs/exchange.md §3)."""

from __future__ import annotations

from bisect import bisect_left

from services.collector.ledger.pairing import PairedExchange
from services.core.model import DURATION_BUCKETS, ExchangeSummary, Parties

_BOUNDS = [2 ** (i / 2) for i in range(DURATION_BUCKETS - 1)]


def bucket_of(duration_ms: float) -> int:
    """Return the index i of the first histogram bucket whose bound, 2^(i/2) ms, is at least the duration. The last has none."""
    return bisect_left(_BOUNDS, duration_ms)


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

    def __init__(self, numbers: list[int] | None = None, buckets: list[int] | None = None) -> None:
        self.numbers = numbers or [0] * len(self.FIELDS)
        self.buckets = buckets or [0] * DURATION_BUCKETS

    def take(self, exchange: PairedExchange, sign: int, *, repeated: bool = False) -> None:
        """Add an exchange (``sign`` 1) or subtract it (-1); ``repeated`` if it repeats another."""
        numbers, duration, skew = self.numbers, exchange.duration, exchange.skew
        numbers[0] += sign
        numbers[1 + exchange.result] += sign
        numbers[4] += sign * exchange.request_bytes
        numbers[5] += sign * exchange.response_bytes
        numbers[6] += sign * exchange.orphan
        if skew is not None:
            numbers[7] += sign * int(2 * skew)
            numbers[8] += sign
        numbers[9] += sign * duration
        numbers[10] += sign * repeated
        self.buckets[bucket_of(duration)] += sign

    @property
    def paired(self) -> int:
        """Number of exchanges with both sides."""
        return self.numbers[0] - self.numbers[6]

    def __bool__(self) -> bool:
        return any(self.numbers) or any(self.buckets)


def to_summary(
    parties: Parties, slot_start: int, revision: int, counts: SummaryCounts, *, repeats_known: bool = True
) -> ExchangeSummary:
    """Return the counts as a summary, which replaces those of the same (client, service, slot) with a lower revision."""
    count, ok, bus, provider, request_bytes, response_bytes, orphans, skew_halves, skew_count, duration, repeats = (
        counts.numbers
    )
    return ExchangeSummary(
        client=parties.client,
        service=parties.service,
        slot_start=slot_start,
        revision=revision,
        meta=parties.meta,
        count=count,
        ok=ok,
        bus_failures=bus,
        provider_failures=provider,
        request_bytes=request_bytes,
        response_bytes=response_bytes,
        orphans=orphans,
        skew_ms_sum=skew_halves / 2,
        skew_count=skew_count,
        duration_buckets=tuple(counts.buckets),
        duration_ms_sum=float(duration),
        repeats=repeats if repeats_known else None,
    )
