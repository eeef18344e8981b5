"""What ``peyvand rounds`` shows a person: official rounds as announced, and the three bars. Pure.

Persian stands last in its line and isolated, so that a terminal that reorders right-to-left text keeps the rest in place.
"""

from __future__ import annotations

from collections.abc import Iterator

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from peyvand.v1 import indicator_pb2, register_pb2, register_service_pb2
from services.cli.render.format import percent

__all__ = ["bars", "rounds_tables"]

_UNSTATED = "not stated"
_BAR_CELLS = 40
_ISOLATE, _POP = "\N{FIRST STRONG ISOLATE}", "\N{POP DIRECTIONAL ISOLATE}"
_CLAIM = "Scores are quoted as announced; no weighting is known or claimed to reproduce them."


def rounds_tables(answer: register_service_pb2.ListEvaluationRoundsResponse) -> Group:
    """Return scores per round, growth between rounds, and what the latest round announced."""
    if not answer.rounds:
        return Group(Text("The register in force lists no official rounds (evaluation_rounds.yaml)."))
    parts: list[RenderableType] = []
    if answer.note:
        parts.append(Text(answer.note, "yellow"))
    parts += [_scores(answer), *_growth(answer)]
    parts += [part for one in answer.rounds for part in _announced(one)]
    return Group(*parts, Text(_CLAIM, "dim"))


def _scores(answer: register_service_pb2.ListEvaluationRoundsResponse) -> Table:
    title = f"Official rounds ({answer.country}), percent"
    table = Table(title=title, title_justify="left", pad_edge=False, box=box.SIMPLE_HEAD)
    table.add_column("", no_wrap=True)
    for one in answer.rounds:
        table.add_column(f"round {one.round}" + (f"\n{one.held}" if one.held else ""), justify="right")
    table.add_column("")
    table.add_row("agencies", *(_count(one, "agencies") for one in answer.rounds))
    table.add_row("services", *(_count(one, "services_and_subservices") for one in answer.rounds))
    table.add_row("overall", *(_score(one, "overall_percent") for one in answer.rounds))
    table.add_row("since round 1, quoted", *(_quoted(one) for one in answer.rounds))
    for dimension in answer.dimensions:
        scores = ({score.dimension: score.percent for score in one.dimensions} for one in answer.rounds)
        shown = (f"{score[dimension.id]:g}" if dimension.id in score else _UNSTATED for score in scores)
        table.add_row(dimension.name_en or dimension.id, *shown, _persian(dimension.name_fa))
    return table


def _count(one: register_pb2.EvaluationRound, name: str) -> str:
    return f"{getattr(one, name):,}" if _has(one, name) else _UNSTATED


def _score(one: register_pb2.EvaluationRound, name: str) -> str:
    return f"{getattr(one, name):g}" if _has(one, name) else _UNSTATED


def _quoted(one: register_pb2.EvaluationRound) -> str:
    name = "growth_since_round_1_percent_more_than"
    return f"more than {getattr(one, name):g}" if _has(one, name) else ""


def _has(one: register_pb2.EvaluationRound, name: str) -> bool:
    return any(field.name == name for field, _ in one.ListFields())


def _growth(answer: register_service_pb2.ListEvaluationRoundsResponse) -> Iterator[RenderableType]:
    names = {one.id: one.name_en or one.id for one in answer.dimensions}
    if not answer.growth:
        yield Text("No two rounds state the same score, so no growth between them can be told.", "dim")
        return
    table = Table(title="Growth between rounds that state a score", title_justify="left", box=box.SIMPLE_HEAD)
    table.add_column("", no_wrap=True)
    table.add_column("rounds", no_wrap=True)
    table.add_column("points", justify="right", no_wrap=True)
    table.add_column("percent", justify="right", no_wrap=True)
    for one in answer.growth:
        percent_more = f"{one.percent:+.1f} %" if one.HasField("percent") else "-"
        rounds = f"{one.from_round} to {one.to_round}"
        table.add_row(names.get(one.dimension, "overall"), rounds, f"{one.percentage_points:+.2f}", percent_more)
    yield table


def _announced(one: register_pb2.EvaluationRound) -> Iterator[RenderableType]:
    if one.announced_top_agencies:
        title = f"Round {one.round}: announced at the top, in no stated order"
        table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
        table.add_column("in the register", no_wrap=True)
        table.add_column("announced as")
        table.add_column("")
        for named in one.announced_top_agencies:
            table.add_row(named.agency or "-", named.name_en, _persian(named.name_fa))
        yield table
    for heading, texts in (
        ("also taken into account", one.also_taken_into_account),
        ("next step", [one.stated_next_step] if one.stated_next_step else []),
        ("concerns", one.stated_concerns),
    ):
        for text in texts:
            yield Text(f"Round {one.round}, {heading}: {text}")


def bars(three: indicator_pb2.ThreeBars) -> Table:
    """Return the three bars under each other: side by side, never merged."""
    table = Table(title="Three bars, side by side and never merged", title_justify="left", box=None, show_header=False)
    table.add_column("", no_wrap=True)
    table.add_column("", justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    table.add_column("", overflow="fold")
    official = three.official if three.HasField("official") else None
    measured = three.measured if three.HasField("measured") else None
    said = f"integration score of round {three.official_round}" if three.official_round else "no round in the register"
    table.add_row("official", _shown(official), _bar(official, "blue"), said)
    built = f"weight of links not on paper ({three.links_absent} of {three.links_required} are)"
    table.add_row("declared", percent(three.declared), _bar(three.declared, "yellow"), built)
    span = f"index over {three.window_days} days, bounds {_span(three.measured_lower, three.measured_upper)}"
    table.add_row("measured", _shown(measured, "not publishable"), _bar(measured, "green"), span)
    ratio = f"{three.verification_ratio:.3f}" if three.HasField("verification_ratio") else "-"
    table.add_row("verified", ratio, "", "measured / declared")
    return table


def _bar(share: float | None, style: str) -> Text:
    return Text("█" * round((share or 0.0) * _BAR_CELLS), style)


def _shown(share: float | None, otherwise: str = _UNSTATED) -> str:
    return otherwise if share is None else percent(share)


def _span(lower: float, upper: float) -> str:
    return f"{100 * lower:.1f}-{100 * upper:.1f} %"


def _persian(text: str) -> str:
    return f"{_ISOLATE}{text}{_POP}" if text else ""
