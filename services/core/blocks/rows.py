"""One row of an IndicatorBlock's columns, as an indicator."""

from __future__ import annotations

from collections.abc import Callable
from math import isnan

from peyvand.v1 import block_pb2
from services.core.model import Indicator, Interval, Kind, Losses, Strict

__all__ = ["COLUMNS", "COUNTS", "SHARES", "reader"]

_LOSSES = ("not_connected", "not_answered", "invalid", "late", "stale")
_STRICT = ("strict_point", "strict_lower", "strict_upper")
_INTERVAL = ("interval_low", "interval_high")

SHARES = ("point", "lower", "upper", "known_share", *_LOSSES, *_STRICT, *_INTERVAL)
"""Columns of doubles, in the order of BlockColumns.shares."""

COUNTS = ("links_required", "links_known", "links_absent")
"""Columns of counts, in the order of BlockColumns.counts."""

COLUMNS = ("kind", "id", "window_days", *SHARES[: -len(_INTERVAL)], *COUNTS)
"""Columns that have a number in every row; intervals and levels are left out in blocks from before there were any."""


def reader(message: block_pb2.IndicatorBlock) -> Callable[[int], Indicator]:
    """What gives the indicator in one row of a block whose columns are of one length; making it costs, using it little."""
    kind, ids, window = message.kind, message.id, message.window_days
    point, lower, upper, known_share = message.point, message.lower, message.upper, message.known_share
    losses = [getattr(message, stage) for stage in _LOSSES]
    strict_point, strict_lower, strict_upper = message.strict_point, message.strict_lower, message.strict_upper
    low, high, level = message.interval_low, message.interval_high, message.level
    required, known, absent = message.links_required, message.links_known, message.links_absent
    with_intervals, with_levels, certainty = len(low) > 0, len(level) > 0, message.interval_level
    as_of, sequence = message.as_of.seconds, message.evidence_sequence
    versions = message.register_version, message.probe_version, message.method_version

    def row_of(row: int) -> Indicator:
        strict = Strict(_or_none(strict_point[row]), strict_lower[row], strict_upper[row])
        interval = Interval(low[row], high[row], certainty) if with_intervals else None
        return Indicator(
            kind=Kind(kind[row]),
            id=ids[row],
            window_days=window[row],
            as_of=as_of,
            point=_or_none(point[row]),
            lower=lower[row],
            upper=upper[row],
            known_share=known_share[row],
            losses=Losses(*[loss[row] for loss in losses]),
            strict=None if isnan(strict.lower) else strict,
            interval=None if interval is None or isnan(interval.low) else interval,
            links_required=required[row],
            links_known=known[row],
            links_absent=absent[row],
            level=level[row] if with_levels and level[row] >= 0 else None,
            register_version=versions[0],
            probe_version=versions[1],
            method_version=versions[2],
            evidence_sequence=sequence,
        )

    return row_of


def _or_none(value: float) -> float | None:
    return None if isnan(value) else value
