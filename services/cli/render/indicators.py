"""What ``peyvand indicator`` and ``peyvand explain`` show a person. Pure: messages in, renderables out."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import tzinfo

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from peyvand.v1 import indicator_pb2, indicator_service_pb2
from services.cli.render.evidence import findings
from services.cli.render.format import gain, percent, points, window
from services.cli.render.tables import new_table
from services.core.model import LOSS_STAGES, IndicatorKind

__all__ = ["bounds", "explanation", "indicator_table", "one_indicator", "point", "provenance"]

_LEVELS = (
    "isolated",
    "some link works",
    "every link connects",
    "all links at once most of the time",
    "all links at once nearly always",
)
_BAR_CELLS = 40
_VERSION_CHARACTERS = 12


def indicator_table(indicators: Iterable[indicator_pb2.Indicator], title: str) -> Table:
    """Return a row per indicator: point, interval, bounds, known share, strict share and links, and the level of services."""
    table = new_table(title, gap=1)
    table.add_column("id", overflow="fold")
    for heading in ("index", "interval", "bounds", "known", "strict", "links", "absent"):
        table.add_column(heading, justify="right", no_wrap=True)
    rows = list(indicators)
    levels = any(one.HasField("level") for one in rows)
    if levels:
        table.add_column("level", justify="right", no_wrap=True)
    for one in rows:
        table.add_row(
            one.id,
            point(one),
            _interval(one),
            bounds(one),
            percent(one.known_share),
            _strict(one),
            str(one.links_required),
            str(one.links_absent),
            *([str(one.level) if one.HasField("level") else "-"] if levels else []),
        )
    return table


def one_indicator(one: indicator_pb2.Indicator, zone: tzinfo) -> Group:
    """Return one indicator in full: the number, what it means and its provenance."""
    table = Table.grid(padding=(0, 2))
    if one.HasField("interval"):
        level = f"{100 * one.interval.level:.0f} % interval"
        table.add_row("in the long run", f"{_interval(one)} ({level})")
    table.add_row("bounds", bounds(one))
    table.add_row("known", percent(one.known_share))
    if one.HasField("strict"):
        table.add_row(
            "strict (all links at once)", f"{_strict(one)}, bounds {_span(one.strict.lower, one.strict.upper)}"
        )
    for stage in LOSS_STAGES:
        table.add_row(f"lost: {_words(stage)}", percent(getattr(one.losses, stage)))
    table.add_row("links", f"{one.links_required} required, {one.links_known} known, {one.links_absent} absent")
    if one.HasField("level"):
        table.add_row("level", f"{one.level} of 4: {_LEVELS[one.level]}")
    return Group(_headline(one), table, provenance(one, zone))


def provenance(one: indicator_pb2.Indicator, zone: tzinfo) -> Text:
    """Return where a number comes from: its window, its time in ``zone``, the policy's timezone, and its versions."""
    return Text(
        f"{window(one.window_days, one.as_of, zone)} · "
        f"register {one.register_version[:_VERSION_CHARACTERS]} · method {one.method_version}",
        "dim",
    )


def explanation(answer: indicator_service_pb2.ExplainIndicatorResponse, zone: tzinfo) -> Group:
    """Return the waterfall of losses by stage, the providers at which most is lost, and the links that would raise it most."""
    parts: list[RenderableType] = [_headline(answer.indicator), _waterfall(answer)]
    alone = answer.HasField("findings")  # one link: it is its own provider's and its own costliest
    if answer.providers and not alone:
        parts.append(_providers(answer))
    if answer.links:
        parts.append(_links(answer))
    if answer.HasField("findings"):
        parts.extend(findings(answer.findings, zone))
    return Group(*parts, provenance(answer.indicator, zone))


def _headline(one: indicator_pb2.Indicator) -> Text:
    kind = IndicatorKind(one.kind)
    what = "the time" if kind is IndicatorKind.ENDPOINT else "required inquiries"
    return Text.assemble(
        (f"{kind.label} {one.id}: ", "bold"),
        (point(one), "bold green" if one.HasField("point") else "bold yellow"),
        f" of {what} answered automatically, correctly and on time "
        f"(bounds {bounds(one)}, known {percent(one.known_share)})",
    )


def _waterfall(answer: indicator_service_pb2.ExplainIndicatorResponse) -> Table:
    table = new_table("Where inquiries are lost", gap=1)
    table.add_column("stage", no_wrap=True)
    table.add_column("lost", justify="right", no_wrap=True)
    table.add_column("left", justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    lost = [float(getattr(answer.losses, stage)) for stage in LOSS_STAGES]
    left = answer.estimate + sum(lost)
    table.add_row("required", "", percent(left), _bar(0, left, "bright_black"))
    for stage, share in zip(LOSS_STAGES, lost, strict=True):
        left -= share
        table.add_row(_words(stage), f"{100 * share:.1f} pp", percent(left), _bar(left, share, "red"))
    table.add_row("answered", "", percent(answer.estimate), _bar(0, answer.estimate, "green"))
    return table


def _bar(start: float, length: float, style: str) -> Text:
    before, end = round(start * _BAR_CELLS), round((start + length) * _BAR_CELLS)
    return Text(" " * before) + Text("█" * (end - before), style)


def _providers(answer: indicator_service_pb2.ExplainIndicatorResponse) -> Table:
    table = new_table("Providers at which most is lost", gap=1)
    table.add_column("provider", overflow="fold")
    for heading in ("lost", "mostly", "links"):
        table.add_column(heading, justify="right", no_wrap=True)
    for one in answer.providers:
        table.add_row(one.provider, points(one.loss), _worst(one.losses), str(one.links))
    return table


def _links(answer: indicator_service_pb2.ExplainIndicatorResponse) -> Table:
    table = new_table("Costliest links", gap=1)
    table.add_column("link, and who needs what of whom", overflow="fold")
    for heading in ("gain", "lost", "mostly", "if fixed"):
        table.add_column(heading, justify="right", no_wrap=True)
    for one in answer.links:
        link = one.link
        table.add_row(
            Text.assemble(link.id, "\n", (f"{link.consumer} needs {link.data_item} of {link.provider}", "dim")),
            gain(one, answer.estimate),
            points(one.loss),
            "absent" if link.absent else _worst(one.losses),
            percent(one.index_if_fixed),
        )
    return table


def _worst(losses: indicator_pb2.Losses) -> str:
    return _words(max(LOSS_STAGES, key=lambda stage: float(getattr(losses, stage))))


def _words(stage: str) -> str:
    return stage.replace("_", " ")


def point(one: indicator_pb2.Indicator) -> str:
    """Return the point, or that there is none to publish."""
    return percent(one.point) if one.HasField("point") else "not publishable"


def _strict(one: indicator_pb2.Indicator) -> str:
    return percent(one.strict.point) if one.strict.HasField("point") else "-"


def bounds(one: indicator_pb2.Indicator) -> str:
    """Return L and U."""
    return _span(one.lower, one.upper)


def _interval(one: indicator_pb2.Indicator) -> str:
    return _span(one.interval.low, one.interval.high) if one.HasField("interval") else "-"


def _span(lower: float, upper: float) -> str:
    return f"{100 * lower:.1f}-{100 * upper:.1f} %"
