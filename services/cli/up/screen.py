"""Renders the screen of ``peyvand up``: one panel that updates. Pure: values in, renderables out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from rich import box
from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.table import Column, Table
from rich.text import Text

from peyvand.v1 import indicator_pb2, indicator_service_pb2
from services.cli.render.format import (
    Wrapped,
    bounds,
    gain,
    known_percent,
    number,
    percent,
    point,
    sparkline,
    stage_name,
    word,
)
from services.cli.up.lines import clock, probe_rate, worst_first
from services.core.model import LOSS_STAGES, largest_loss
from services.core.texts import plural

_TREND_CELLS = 40
_MAX_ROWS = 5


@dataclass(frozen=True, slots=True)
class ExchangeCounts:
    """The collector's counters: records read, exchanges logged by both sides, and by one side."""

    records: int = 0
    paired: int = 0
    orphans: int = 0


@dataclass(frozen=True, slots=True)
class SystemState:
    """What the screen shows at one moment; ``indicator`` is None until the first index is published."""

    title: str
    indicator: indicator_pb2.Indicator | None
    explanation: indicator_service_pb2.ExplainIndicatorResponse | None
    three_bars: indicator_pb2.ThreeBars | None
    providers: tuple[indicator_pb2.Indicator, ...]
    trend: tuple[float, ...]
    probes_per_second: float | None
    notes: tuple[str, ...]
    waiting_for: str
    pages: str
    addresses: str
    next_steps: str
    exchanges: ExchangeCounts = ExchangeCounts()
    endpoints: tuple[indicator_pb2.Indicator, ...] = ()
    names: Mapping[str, str] = field(default_factory=dict)
    """Names of agencies by id."""


def fitting_panel(state: SystemState, console: Console) -> RenderableType:
    """Return the screen with as many rows of its tables as the height of the terminal has room for."""
    for rows in range(_MAX_ROWS, 0, -1):
        panel = system_panel(state, rows)
        if len(console.render_lines(panel)) <= console.height:
            return panel
    return system_panel(state, 0)


def system_panel(state: SystemState, rows: int = _MAX_ROWS) -> RenderableType:
    """Return the whole screen, for a terminal of at least 80 columns; with no ``rows`` its tables are left out."""
    parts: list[RenderableType] = [Text.assemble("pages: ", (state.pages, f"bold link {state.pages}"))]
    parts += [Text(note, "yellow") for note in state.notes]
    if state.endpoints:
        parts += [Text(state.waiting_for), *([_endpoints(state.endpoints, 2 * rows)] if rows else ())]
    elif state.indicator is None:
        parts.append(Text(state.waiting_for))
    else:
        parts += _headline(state, state.indicator)
        if state.three_bars is not None:
            parts.append(_three_bars(state.three_bars))
        if rows:
            parts.append(_providers(state, rows))
        if rows and state.explanation is not None:
            parts += _links(state.explanation, rows)
    counts = state.exchanges
    if counts.records:
        sides = f"{counts.paired:,} exchanges logged by both sides, {counts.orphans:,} by one so far"
        parts.append(Text(f"data bus: {sides}; {counts.records:,} records"))
    parts.append(Text(state.addresses, "dim"))
    parts.append(Text(state.next_steps, "cyan"))
    return Panel(Group(*parts), title=Text(state.title), title_align="left")


def _headline(state: SystemState, indicator: indicator_pb2.Indicator) -> list[Text]:
    losses = ", ".join(f"{stage_name(stage)} {100 * getattr(indicator.losses, stage):.1f}" for stage in LOSS_STAGES)
    trend = f"{sparkline(state.trend[-_TREND_CELLS:])}  " if state.trend else ""
    return [
        Text.assemble(
            ("Cross-agency Integration Index  ", "bold"),
            (point(indicator), "bold green" if indicator.HasField("point") else "bold yellow"),
            f"   bounds {bounds(indicator)}   known {known_percent(indicator.known_share)}",
        ),
        Text(
            f"of 100 required inquiries, as of {clock(indicator.as_of.seconds)} UTC; "
            f"{plural(indicator.links_required, 'link')}, {indicator.links_absent:,} still on paper",
            "dim",
        ),
        Text(f"lost %: {losses}" if indicator.HasField("point") else "lost: not shown, since too little is known"),
        Text(trend, "cyan") + Text(probe_rate(state.probes_per_second), "dim"),
    ]


def _three_bars(three_bars: indicator_pb2.ThreeBars) -> Text:
    """Return the three bars in one line: side by side, never merged."""
    official = percent(three_bars.official) if three_bars.HasField("official") else "not stated"
    measured = percent(three_bars.measured) if three_bars.HasField("measured") else "not publishable"
    name = f"official, round {three_bars.official_round}" if three_bars.official_round else "official"
    return Text(f"three bars: {name} {official} · declared {percent(three_bars.declared)} · measured {measured}")


def _providers(state: SystemState, rows: int) -> Table:
    numbers = map(number, ("index", "bounds", "links"))
    table = _table("Worst providers", Column(no_wrap=True), Column(no_wrap=True, ratio=1), *numbers)
    for provider in worst_first(state.providers)[:rows]:
        name = state.names.get(provider.id, "")
        table.add_row(Wrapped(provider.id), name, point(provider), bounds(provider), str(provider.links_required))
    return table


def _endpoints(endpoints: Sequence[indicator_pb2.Indicator], rows: int) -> Table:
    table = _table("Endpoints, the worst first", Column(ratio=1), *map(number, ("available", "bounds", "known")))
    for endpoint in worst_first(endpoints)[:rows]:
        table.add_row(Wrapped(endpoint.id), point(endpoint), bounds(endpoint), known_percent(endpoint.known_share))
    return table


def _links(explanation: indicator_service_pb2.ExplainIndicatorResponse, rows: int) -> list[RenderableType]:
    """Return the costliest links that have a known share; what is lost on others is a guess."""
    known = [cost for cost in explanation.links if cost.known_share > 0]
    if not known:
        return []
    table = _table("Costliest links", Column(ratio=1), number("gain"), word("lost at"), number("if fixed"))
    for cost in known[:rows]:
        lost = "on paper" if cost.link.absent else stage_name(largest_loss(cost.losses))
        table.add_row(Wrapped(cost.link.id), gain(cost, explanation.estimate), lost, percent(cost.index_if_fixed))
    return [table]


def _table(title: str, *columns: Column) -> Table:
    """Return a table with its title over the first column, so that it takes no line of its own."""
    first, *others = columns
    first.header = Text(title, "bold")
    return Table(first, *others, expand=True, box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
