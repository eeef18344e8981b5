"""One row of an IndicatorBlock's columns, as an indicator."""

from __future__ import annotations

import math

from peyvand.v1 import block_pb2
from services.core.evidence import Indicator, Interval, Kind, Losses, Strict

__all__ = ["COLUMNS", "COUNTS", "SHARES", "row_of"]

_LOSSES = ("not_connected", "not_answered", "invalid", "late", "stale")
_STRICT = ("strict_point", "strict_lower", "strict_upper")
_INTERVAL = ("interval_low", "interval_high")

SHARES = ("point", "lower", "upper", "known_share", *_LOSSES, *_STRICT, *_INTERVAL)
"""Columns of doubles, in the order of BlockColumns.shares."""

COUNTS = ("links_required", "links_known", "links_absent")
"""Columns of counts, in the order of BlockColumns.counts."""

COLUMNS = ("kind", "id", "window_days", *SHARES[: -len(_INTERVAL)], *COUNTS)
"""Columns that have a number in every row; intervals and levels are left out in blocks from before there were any."""


def row_of(message: block_pb2.IndicatorBlock, row: int) -> Indicator:
    """The indicator in one row of a block whose columns are of one length."""
    strict_lower = message.strict_lower[row]
    low = message.interval_low[row] if message.interval_low else math.nan
    level = message.level[row] if message.level else -1
    return Indicator(
        kind=Kind(message.kind[row]),
        id=message.id[row],
        window_days=message.window_days[row],
        as_of=message.as_of.seconds,
        point=_or_none(message.point[row]),
        lower=message.lower[row],
        upper=message.upper[row],
        known_share=message.known_share[row],
        losses=Losses(*(getattr(message, stage)[row] for stage in _LOSSES)),
        strict=None
        if math.isnan(strict_lower)
        else Strict(_or_none(message.strict_point[row]), strict_lower, message.strict_upper[row]),
        interval=None if math.isnan(low) else Interval(low, message.interval_high[row], message.interval_level),
        links_required=message.links_required[row],
        links_known=message.links_known[row],
        links_absent=message.links_absent[row],
        level=None if level < 0 else level,
        register_version=message.register_version,
        probe_version=message.probe_version,
        method_version=message.method_version,
        evidence_sequence=message.evidence_sequence,
    )


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else value
