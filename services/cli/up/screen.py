"""What a person sees while ``peyvand up`` runs: one table that updates, or one line per slot. Pure: values in, text out."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from rich import box
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from peyvand.v1 import indicator_pb2, indicator_service_pb2
from services.cli.render.format import gain, percent
from services.cli.render.sparkline import sparkline
from services.core.model import LOSS_STAGES

__all__ = ["Exchanges", "Picture", "left_out", "line", "table"]

_TREND = 40


@dataclass(frozen=True, slots=True)
class Exchanges:
    """What the collector says: records read, exchanges of which it has both sides, and of which it has one."""

    records: int = 0
    paired: int = 0
    orphans: int = 0


@dataclass(frozen=True, slots=True)
class Picture:
    """What is known at one moment; ``indicator`` is None until the first index is published."""

    title: str
    started: float
    now: float
    indicator: indicator_pb2.Indicator | None
    explained: indicator_service_pb2.ExplainIndicatorResponse | None
    three_bars: indicator_pb2.ThreeBars | None
    providers: tuple[indicator_pb2.Indicator, ...]
    trend: tuple[float, ...]
    probes_per_second: float | None
    notes: tuple[str, ...]
    waiting_for: str
    addresses: str
    next_steps: str
    exchanges: Exchanges = Exchanges()


def _point(indicator: indicator_pb2.Indicator) -> str:
    """The point where one is published; otherwise why there is none."""
    return percent(indicator.point) if indicator.HasField("point") else "not publishable"


def _bounds(indicator: indicator_pb2.Indicator) -> str:
    return f"{100 * indicator.lower:.1f}-{100 * indicator.upper:.1f} %"


def _rate(probes_per_second: float | None) -> str:
    return "- probes/s" if probes_per_second is None else f"{probes_per_second:.0f} probes/s"


def _clock(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%H:%M:%S")


def line(indicator: indicator_pb2.Indicator, probes_per_second: float | None) -> str:
    """One slot in one line, for logs and pipes."""
    worst = max(LOSS_STAGES, key=lambda stage: float(getattr(indicator.losses, stage)))
    return (
        f"{_clock(indicator.as_of.seconds)}Z  index {_point(indicator)}  bounds {_bounds(indicator)}  "
        f"known {percent(indicator.known_share)}  most lost: {worst} {percent(getattr(indicator.losses, worst))}  "
        f"{_rate(probes_per_second)}"
    )


def left_out(late: int) -> str:
    """What a person must know of measurements that came too late: the index is without them."""
    return (
        f"{late:,} measurements came after the grace of their slots and count for nothing, so the index is without them; "
        "see docs/alerts.md, MeasurementsLate"
    )


def _headline(picture: Picture, indicator: indicator_pb2.Indicator) -> Group:
    index = Text.assemble(
        ("Cross-agency Integration Index  ", "bold"),
        (_point(indicator), "bold green" if indicator.HasField("point") else "bold yellow"),
        f"   bounds {_bounds(indicator)}   known {percent(indicator.known_share)}",
    )
    meaning = Text(
        f"of 100 required inquiries, as of {_clock(indicator.as_of.seconds)} UTC; "
        f"{indicator.links_required} links, {indicator.links_absent} still on paper",
        "dim",
    )
    losses = Text("lost: " + "  ".join(f"{stage} {percent(getattr(indicator.losses, stage))}" for stage in LOSS_STAGES))
    trend = Text(f"{sparkline(picture.trend[-_TREND:])}  " if picture.trend else "", "cyan") + Text(
        _rate(picture.probes_per_second), "dim"
    )
    return Group(index, meaning, losses, trend)


def _bars(three: indicator_pb2.ThreeBars) -> Text:
    """The three bars in one line: side by side, never merged."""
    official = percent(three.official) if three.HasField("official") else "not stated"
    measured = percent(three.measured) if three.HasField("measured") else "not publishable"
    name = f"official, round {three.official_round}" if three.official_round else "official"
    return Text(f"three bars: {name} {official} · declared {percent(three.declared)} · measured {measured}")


def _providers(picture: Picture) -> Table:
    shown = Table(title="Worst providers", title_justify="left", expand=True, box=box.SIMPLE_HEAD)
    shown.add_column("provider", ratio=3, no_wrap=True)
    shown.add_column("index", justify="right")
    shown.add_column("bounds", justify="right")
    shown.add_column("links", justify="right")
    for indicator in sorted(picture.providers, key=lambda one: (one.lower, one.id))[:5]:
        shown.add_row(indicator.id, _point(indicator), _bounds(indicator), str(indicator.links_required))
    return shown


def _links(explained: indicator_service_pb2.ExplainIndicatorResponse) -> Table:
    shown = Table(title="Costliest links", title_justify="left", expand=True, box=box.SIMPLE_HEAD)
    shown.add_column("link", ratio=3, no_wrap=True)
    shown.add_column("gain", justify="right", no_wrap=True)
    shown.add_column("lost at", no_wrap=True)
    shown.add_column("index if fixed", justify="right")
    for cost in explained.links[:5]:
        worst = max(LOSS_STAGES, key=lambda stage: float(getattr(cost.losses, stage)))
        lost = "still on paper" if cost.link.absent else worst
        shown.add_row(cost.link.id, gain(cost, explained.estimate), lost, percent(cost.index_if_fixed))
    return shown


def _carried(exchanges: Exchanges) -> Text:
    return Text(
        f"data bus: {exchanges.paired:,} exchanges logged by both sides, {exchanges.orphans:,} by one so far; "
        f"{exchanges.records:,} records"
    )


def table(picture: Picture) -> RenderableType:
    """The whole picture, for a terminal of at least 80 columns."""
    parts: list[RenderableType] = []
    if picture.indicator is None:
        parts.append(Text(f"{picture.waiting_for} ({picture.now - picture.started:.0f} s)"))
    else:
        parts.append(_headline(picture, picture.indicator))
        if picture.three_bars is not None:
            parts.append(_bars(picture.three_bars))
        parts.append(_providers(picture))
        if picture.explained is not None:
            parts.append(_links(picture.explained))
    if picture.exchanges.records:
        parts.append(_carried(picture.exchanges))
    parts.extend(Text(note, "yellow") for note in picture.notes)
    parts.append(Text(picture.addresses, "dim"))
    parts.append(Text(picture.next_steps, "cyan"))
    return Panel(Group(*parts), title=picture.title, title_align="left")
