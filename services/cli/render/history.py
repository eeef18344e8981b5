"""What ``peyvand history`` shows a person. Pure: messages in, renderables out."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, tzinfo

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from peyvand.v1 import indicator_pb2
from services.cli.render.format import percent
from services.cli.render.indicators import bounds, point, provenance
from services.cli.render.sparkline import cells, sparkline
from services.cli.render.tables import new_table
from services.core.model import IndicatorKind

__all__ = ["history"]

_ROWS = 14


def history(indicators: Sequence[indicator_pb2.Indicator], zone: tzinfo, width: int) -> Group:
    """Return one entity's indicators, oldest first and at least one, as a line of bars and the last of each day.

    ``width`` is that of the terminal; days and times are in ``zone``, the policy's timezone.
    """
    first, last = indicators[0], indicators[-1]
    parts: list[RenderableType] = [
        Text.assemble(
            (f"{IndicatorKind(last.kind).label} {last.id}: ", "bold"),
            (point(last), "bold green" if last.HasField("point") else "bold yellow"),
            f" over {last.window_days} days; published {_times(len(indicators))} from "
            f"{_time(first, zone):%Y-%m-%d %H:%M} to {_time(last, zone):%Y-%m-%d %H:%M} {zone}",
        )
    ]
    published = [one for one in indicators if one.HasField("point")]
    if published:
        low, high = (choose(published, key=lambda one: one.point) for choose in (min, max))
        shown = cells([one.point if one.HasField("point") else None for one in indicators], max(10, width - 2))
        parts += [
            Text(sparkline(shown), "cyan"),
            Text(
                f"lowest {percent(low.point)} on {_time(low, zone):%Y-%m-%d %H:%M}, "
                f"highest {percent(high.point)} on {_time(high, zone):%Y-%m-%d %H:%M}; "
                f"{_change(first, last)} since the first",
                "dim",
            ),
        ]
    return Group(*parts, _days(indicators, zone), provenance(last, zone))


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _days(indicators: Sequence[indicator_pb2.Indicator], zone: tzinfo) -> Table:
    last_of = {_time(one, zone).date(): one for one in indicators}
    days = sorted(last_of, reverse=True)
    title = "The last of each day, newest first"
    if len(days) > _ROWS:
        title += f" ({_ROWS} of {len(days)} days; --json has all)"
    table = new_table(title)
    for heading in ("day", "at", "index", "bounds", "known", "change", "register"):
        table.add_column(heading, justify="left" if heading in ("day", "register") else "right", no_wrap=True)
    for at, day in enumerate(days[:_ROWS]):
        one = last_of[day]
        change = _change(last_of[days[at + 1]], one) if at + 1 < len(days) else ""
        clock = f"{_time(one, zone):%H:%M}"
        shown = (point(one), bounds(one), percent(one.known_share), change, one.register_version[:8])
        table.add_row(day.isoformat(), clock, *shown)
    return table


def _change(earlier: indicator_pb2.Indicator, later: indicator_pb2.Indicator) -> str:
    if not (earlier.HasField("point") and later.HasField("point")):
        return "-"
    return f"{100 * (later.point - earlier.point):+.1f} pp"


def _time(one: indicator_pb2.Indicator, zone: tzinfo) -> datetime:
    return datetime.fromtimestamp(one.as_of.seconds, zone)
