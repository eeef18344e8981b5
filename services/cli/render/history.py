"""Renders the history of an indicator for ``peyvand history``. Pure: messages in, renderables out."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, tzinfo

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from peyvand.v1 import indicator_pb2
from services.cli.render.format import (
    bounds,
    known_percent,
    mean_cells,
    new_table,
    number,
    percent,
    point,
    signed_points,
    sparkline,
    word,
)
from services.cli.render.indicators import provenance
from services.core.model import IndicatorKind
from services.core.texts import plural

_MAX_ROWS = 14


def history_chart(indicators: Sequence[indicator_pb2.Indicator], zone: tzinfo, width: int) -> Group:
    """Return one entity's indicators, oldest first and at least one, as a line of bars and the last of each day.

    ``width`` is that of the terminal; days and times are in ``zone``, the policy's timezone.
    """
    first, last = indicators[0], indicators[-1]
    times = "published at"
    if len(indicators) > 1:
        times = f"published {len(indicators)} times from {_time(first, zone):%Y-%m-%d %H:%M} to"
    parts: list[RenderableType] = [
        Text.assemble(
            (f"{IndicatorKind(last.kind).label} {last.id}: ", "bold"),
            (point(last), "bold green" if last.HasField("point") else "bold yellow"),
            f" over {plural(last.window_days, 'day')}; {times} {_time(last, zone):%Y-%m-%d %H:%M} {zone}",
        )
    ]
    published = [indicator for indicator in indicators if indicator.HasField("point")]
    if published:
        low, high = (choose(published, key=lambda indicator: indicator.point) for choose in (min, max))
        values = [indicator.point if indicator.HasField("point") else None for indicator in indicators]
        parts += [
            Text(sparkline(mean_cells(values, max(10, width - 2))), "cyan"),
            Text(
                f"lowest {percent(low.point)} on {_time(low, zone):%Y-%m-%d %H:%M}, "
                f"highest {percent(high.point)} on {_time(high, zone):%Y-%m-%d %H:%M}; "
                f"{_change(first, last)} since the first",
                "dim",
            ),
        ]
    return Group(*parts, _days(indicators, zone), provenance(last, zone))


def _days(indicators: Sequence[indicator_pb2.Indicator], zone: tzinfo) -> Table:
    last_of_day = {_time(indicator, zone).date(): indicator for indicator in indicators}
    days = sorted(last_of_day, reverse=True)
    title = "The last of each day, newest first"
    if len(days) > _MAX_ROWS:
        title += f" ({_MAX_ROWS} of {len(days)} days; --json has all)"
    numbers = map(number, ("at", "index", "bounds", "known", "change"))
    table = new_table(title, word("day"), *numbers, word("register"))
    for row, day in enumerate(days[:_MAX_ROWS]):
        indicator = last_of_day[day]
        table.add_row(
            day.isoformat(),
            f"{_time(indicator, zone):%H:%M}",
            point(indicator),
            bounds(indicator),
            known_percent(indicator.known_share),
            _change(last_of_day[days[row + 1]], indicator) if row + 1 < len(days) else "",
            indicator.register_version[:8],
        )
    return table


def _change(earlier: indicator_pb2.Indicator, later: indicator_pb2.Indicator) -> str:
    if not (earlier.HasField("point") and later.HasField("point")):
        return "-"
    return signed_points(later.point - earlier.point)


def _time(indicator: indicator_pb2.Indicator, zone: tzinfo) -> datetime:
    return datetime.fromtimestamp(indicator.as_of.seconds, zone)
