"""Renders official rounds as announced, and the three bars, for ``peyvand rounds``. Pure: messages in, renderables out.

Persian text comes last in its line and is isolated, so that a terminal that reorders right-to-left text keeps the rest in
place.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from rich import box
from rich.console import Group, RenderableType
from rich.table import Column, Table
from rich.text import Text

from peyvand.v1 import indicator_pb2, register_pb2
from peyvand.v1 import register_service_pb2 as messages
from services.cli.render.format import number, percent, share_range, text, word

_UNSTATED = "not stated"
_BAR_CELLS = 40
_ISOLATE, _POP = "\N{FIRST STRONG ISOLATE}", "\N{POP DIRECTIONAL ISOLATE}"
_DISCLAIMER = "Scores are quoted as announced; no weighting is known or claimed to reproduce them."


def rounds_answer(answer: messages.ListEvaluationRoundsResponse, three_bars: indicator_pb2.ThreeBars | None) -> Group:
    """Return scores per round, growth between rounds, what each round announced, and the three bars."""
    bars = [] if three_bars is None else [three_bars_table(three_bars)]
    if not answer.rounds:
        return Group(Text("The register in force lists no official rounds (evaluation_rounds.yaml)."), *bars)
    parts: list[RenderableType] = [Text(answer.note, "yellow")] if answer.note else []
    parts += [_scores(answer), _growth(answer)]
    parts += [part for each in answer.rounds for part in _announced(each)]
    cited = [_sources(answer)] if any(each.sources for each in answer.rounds) else []
    return Group(*parts, *cited, Text(_DISCLAIMER, "dim"), *bars)


def _scores(answer: messages.ListEvaluationRoundsResponse) -> Table:
    rounds = answer.rounds
    title = f"Official rounds ({answer.country}), percent"
    headings = (f"round {each.round}" + (f"\n{each.held}" if each.held else "") for each in rounds)
    columns = word(), *(Column(heading, justify="right") for heading in headings), Column()
    table = Table(*columns, title=title, title_justify="left", pad_edge=False, box=box.SIMPLE_HEAD)
    table.add_row("agencies", *(_number(each, "agencies", "{:,}") for each in rounds))
    table.add_row("services", *(_number(each, "services_and_subservices", "{:,}") for each in rounds))
    overall = (
        _number(each, "overall_percent", "{:g}", _number(each, "overall_percent_more_than", "more than {:g}"))
        for each in rounds
    )
    table.add_row("overall", *overall)
    quoted = (_number(each, "growth_since_round_1_percent_more_than", "more than {:g}", "") for each in rounds)
    table.add_row("since round 1, quoted", *quoted)
    for dimension in answer.dimensions:
        cells = (_score(each, dimension) for each in rounds)
        table.add_row(dimension.name_en or dimension.id, *cells, _persian(dimension.name_fa))
    return table


def _score(each: register_pb2.EvaluationRound, dimension: register_pb2.Dimension) -> str:
    """Return the score of a dimension; empty when the round was held by another model."""
    if each.model and each.model != dimension.model:
        return ""
    return next((f"{score.percent:g}" for score in each.dimensions if score.dimension == dimension.id), _UNSTATED)


def _sources(answer: messages.ListEvaluationRoundsResponse) -> Table:
    """Return a row for each source of a round, with the fields that are from there."""
    table = _table("Sources", word("round"), text("source"), text("states"))
    for each in answer.rounds:
        cited: defaultdict[str, list[str]] = defaultdict(list)
        for stated in each.sources:
            for source in stated.sources:
                cited[source].append(stated.field)
        for source, fields in cited.items():
            table.add_row(str(each.round), source, ", ".join(fields))
    return table


def _table(title: str, *columns: Column | str) -> Table:
    return Table(*columns, title=title, title_justify="left", box=box.SIMPLE_HEAD)


def _number(each: register_pb2.EvaluationRound, name: str, form: str, otherwise: str = _UNSTATED) -> str:
    present = any(field.name == name for field, _ in each.ListFields())
    return form.format(getattr(each, name)) if present else otherwise


def _growth(answer: messages.ListEvaluationRoundsResponse) -> RenderableType:
    if not answer.growth:
        return Text("No two rounds state the same score, so no growth between them can be computed.", "dim")
    names = {dimension.id: dimension.name_en or dimension.id for dimension in answer.dimensions}
    columns = word(), word("rounds"), number("points"), number("percent")
    table = _table("Growth between rounds that state a score", *columns)
    for growth in answer.growth:
        table.add_row(
            names.get(growth.dimension, "overall"),
            f"{growth.from_round} to {growth.to_round}",
            f"{growth.percentage_points:+.2f}",
            f"{growth.percent:+.1f} %" if growth.HasField("percent") else "-",
        )
    return table


def _announced(each: register_pb2.EvaluationRound) -> Iterator[RenderableType]:
    if each.also_stated:
        table = _table(f"Round {each.round}: further figures", number("figure"), "of", "")
        for figure in each.also_stated:
            table.add_row(f"{figure.value:,.12g}", figure.name_en, _persian(figure.name_fa))
        yield table
    for place, agencies in (("top", each.announced_top_agencies), ("bottom", each.announced_weakest_agencies)):
        if agencies:
            title = f"Round {each.round}: announced at the {place}, in no stated order"
            table = _table(title, word("in the register"), "announced as", "")
            for named in agencies:
                table.add_row(named.agency or "-", named.name_en, _persian(named.name_fa))
            yield table
    for heading, texts in (
        ("note", [each.note] if each.note else []),
        ("also taken into account", each.also_taken_into_account),
        ("next step", [each.stated_next_step] if each.stated_next_step else []),
        ("concerns", each.stated_concerns),
    ):
        for sentence in texts:
            yield Text(f"Round {each.round}, {heading}: {sentence}")


def three_bars_table(three_bars: indicator_pb2.ThreeBars) -> Table:
    """Return official, declared and measured share: side by side, never merged."""
    title = "Three bars, side by side and never merged"
    table = Table(word(), number(), word(), text(), title=title, title_justify="left", box=None, show_header=False)
    official = three_bars.official if three_bars.HasField("official") else None
    measured = three_bars.measured if three_bars.HasField("measured") else None
    name = three_bars.official_round
    score = f"integration score of round {name}" if name else "no round in the register"
    table.add_row("official", _share(official), _bar(official, "blue"), score)
    built = f"weight of links not on paper ({three_bars.links_absent} of {three_bars.links_required} are)"
    table.add_row("declared", percent(three_bars.declared), _bar(three_bars.declared, "yellow"), built)
    limits = share_range(three_bars.measured_lower, three_bars.measured_upper)
    index = f"index over {three_bars.window_days} days, bounds {limits}"
    table.add_row("measured", _share(measured, "not publishable"), _bar(measured, "green"), index)
    ratio = f"{three_bars.verification_ratio:.3f}" if three_bars.HasField("verification_ratio") else "-"
    table.add_row("verified", ratio, "", "measured / declared")
    return table


def _bar(share: float | None, style: str) -> Text:
    return Text("█" * round((share or 0.0) * _BAR_CELLS), style)


def _share(share: float | None, otherwise: str = _UNSTATED) -> str:
    return otherwise if share is None else percent(share)


def _persian(text: str) -> str:
    return f"{_ISOLATE}{text}{_POP}" if text else ""
