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
    interval, strict, band = one.interval, one.strict, one.rank_band
    return {
        "kind": one.kind.label,
        "id": one.id,
        "point": one.point,
        "lower": one.lower,
        "upper": one.upper,
        "known_share": one.known_share,
        "interval_low": interval.low if interval else None,
        "interval_high": interval.high if interval else None,
        "interval_level": interval.level if interval else None,
        **{f"lost_{stage}": getattr(one.losses, stage) for stage in LOSS_STAGES},
        "strict_point": strict.point if strict else None,
        "strict_lower": strict.lower if strict else None,
        "strict_upper": strict.upper if strict else None,
        "level": one.level,
        "rank_low": band.low if band else None,
        "rank_high": band.high if band else None,
        "links_required": one.links_required,
        "links_known": one.links_known,
        "links_absent": one.links_absent,
        "window_days": one.window_days,
        "as_of": iso(one.as_of),
        "register_version": one.register_version,
        "probe_version": one.probe_version,
        "method_version": one.method_version,
        "evidence_sequence": one.evidence_sequence,
    }
