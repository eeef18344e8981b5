"""Writes figures as rows of tables of data."""

from __future__ import annotations

from typing import Any

from services.console.texts.moments import iso
from services.core.model import LOSS_STAGES, Indicator

Row = dict[str, Any]
"""Values by column; None is an empty cell. Shares are of 1, times are RFC 3339 in UTC."""

FIGURE_COLUMNS = (
    *("kind", "id", "point", "lower", "upper", "known_share"),
    *("interval_low", "interval_high", "interval_level"),
    *(f"lost_{stage}" for stage in LOSS_STAGES),
    *("strict_point", "strict_lower", "strict_upper", "level", "rank_low", "rank_high"),
    *("links_required", "links_known", "links_absent", "window_days", "as_of"),
    *("register_version", "probe_version", "method_version", "evidence_sequence"),
)
"""The columns of ``figure_row``."""

VERSION_COLUMNS = ("window_days", "as_of", "register_version", "method_version", "evidence_sequence")
"""The columns of ``version_row``."""


def version_row(message: Any) -> Row:
    """Return the window, the time and the versions of an answer of the api."""
    return {name: getattr(message, name) for name in VERSION_COLUMNS} | {"as_of": iso(message.as_of.seconds)}


def figure_row(one: Indicator) -> Row:
    """Return an indicator as a row."""
    row: Row = {name: getattr(one, name, None) for name in FIGURE_COLUMNS}
    row |= {"kind": one.kind.label, "as_of": iso(one.as_of)}
    row |= {f"lost_{stage}": getattr(one.losses, stage) for stage in LOSS_STAGES}
    if one.interval:
        row |= {f"interval_{name}": getattr(one.interval, name) for name in ("low", "high", "level")}
    if one.strict:
        row |= {f"strict_{name}": getattr(one.strict, name) for name in ("point", "lower", "upper")}
    if one.rank_band:
        row |= {"rank_low": one.rank_band.low, "rank_high": one.rank_band.high}
    return row
