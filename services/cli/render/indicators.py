"""Renders indicators for ``peyvand indicator`` and ``peyvand explain``. Pure: messages in, renderables out."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import tzinfo

from rich.console import Group, RenderableType
from rich.table import Column, Table
from rich.text import Text

from peyvand.v1 import finding_pb2, indicator_pb2, register_pb2
from peyvand.v1 import indicator_service_pb2 as messages
from services.cli.render.evidence import evidence_parts, work_lines
from services.cli.render.findings import finding_lines
from services.cli.render.format import (
    Wrapped,
    bounds,
    gain,
    known_percent,
    new_table,
    number,
    percent,
    point,
    points,
    share_range,
    stage_name,
    text,
    unknown_percent,
    window,
    word,
)
from services.core.model import FEWEST_OUTAGES, LOSS_STAGES, IndicatorKind, largest_loss
from services.core.texts import plural

_LEVELS = (
    "isolated",
    "some link works",
    "every link connects",
    "all links at once most of the time",
    "all links at once nearly always",
)
_BAR_CELLS = 40
_VERSION_CHARACTERS = 12
_EMPTY = {"links": "1", "absent": "0", "name": ""}
"""The cell of each column that says nothing; "-" for columns that are not here."""

_MEANING = {
    "index": "index: - below the policy's known share",
    "interval": "interval: of the long run, wide at first",
    "bounds": "bounds: unknown as failed, as answered",
    "strict": "strict: all links of a service at once",
    "level": f"level: 0 {_LEVELS[0]} to 4 {_LEVELS[4]}",
}
"""The meanings of the columns that need an explanation."""

_EDGE_CELLS = 2
"""The cells that a table takes beside its columns."""

_RANKS = ("index", "bounds", "known", "name", "interval", "level", "links", "absent", "strict")
"""Columns by how much they say: those without room are left out, the last first."""

_NAME_CELLS, _ID_CELLS = 24, 32
"""The least widths of names and ids: names wrap at spaces, ids after hyphens."""


def indicator_table(
    indicators: Sequence[indicator_pb2.Indicator], title: str, names: Mapping[str, str], width: int
) -> Group:
    """Return a row per indicator, with names by id, and what the columns mean.

    Columns that say nothing of any indicator are left out, and so are those without room in ``width``.
    """
    columns: dict[str, list[str]] = {
        "name": [names.get(row.id, "") for row in indicators],
        "index": [percent(row.point) if row.HasField("point") else "-" for row in indicators],
        "interval": [_interval(row) for row in indicators],
        "bounds": [bounds(row) for row in indicators],
        "known": [known_percent(row.known_share) for row in indicators],
        "strict": [_strict(row) for row in indicators],
        "links": [f"{row.links_required:,}" for row in indicators],
        "absent": [f"{row.links_absent:,}" for row in indicators],
        "level": [str(row.level) if row.HasField("level") else "-" for row in indicators],
    }
    shown = {name: cells for name, cells in columns.items() if set(cells) - {_EMPTY.get(name, "-")}}
    id_cells = min(_ID_CELLS, max((len(row.id) for row in indicators), default=0))
    shown, hidden = _with_room(shown, width - id_cells - _EDGE_CELLS)
    ids = Column("id", min_width=id_cells if "name" in shown else None)  # names give way, not ids
    table = new_table(title, ids, *(text(name) if name == "name" else number(name) for name in shown), gap=1)
    for row, cells in zip(indicators, zip(*shown.values(), strict=True), strict=True):
        table.add_row(Wrapped(row.id), *cells)
    meanings = [
        _MEANING[name] for name, cells in shown.items() if name in _MEANING and (name != "index" or "-" in cells)
    ]
    if hidden:
        meanings.append(f"no room for {', '.join(hidden)}")
    return Group(table, Text(" · ".join(meanings), "dim"))


def _with_room(columns: Mapping[str, list[str]], width: int) -> tuple[dict[str, list[str]], list[str]]:
    """Return the columns that fit side by side into ``width``, one at least, in their order, and the names of the others."""
    kept: set[str] = set()
    for name in sorted(columns, key=_RANKS.index):
        needed = 1 + max(map(len, (name, *columns[name])))
        width -= min(needed, 1 + _NAME_CELLS) if name == "name" else needed
        if width < 0 and kept:
            break
        kept.add(name)
    hidden = [name for name in columns if name not in kept]
    return {name: cells for name, cells in columns.items() if name in kept}, hidden


def indicator_details(indicator: indicator_pb2.Indicator, zone: tzinfo) -> Group:
    """Return one indicator in full: the number, what it means and its provenance."""
    table = Table.grid(padding=(0, 2))
    if indicator.HasField("interval"):
        table.add_row("in the long run", f"{_long_run(indicator)}{_rests_on(indicator.interval)}")
    table.add_row("bounds", bounds(indicator))
    table.add_row("known", known_percent(indicator.known_share))
    if indicator.HasField("strict"):
        strict = f"{_strict(indicator)}, bounds {share_range(indicator.strict.lower, indicator.strict.upper)}"
        table.add_row("strict (all links at once)", strict)
    for stage in LOSS_STAGES if indicator.HasField("point") else ():
        table.add_row(f"lost: {stage_name(stage)}", percent(getattr(indicator.losses, stage)))
    links = f"{indicator.links_required} required, {indicator.links_known} known, {indicator.links_absent} absent"
    table.add_row("links", links)
    if indicator.HasField("rank_band"):
        band = indicator.rank_band
        ranks = f"{band.low}" if band.low == band.high else f"{band.low} to {band.high}"
        table.add_row("rank", f"{ranks} of {band.agencies}, by the intervals of all")
    if indicator.HasField("level"):
        known = indicator.level < len(_LEVELS)  # a newer version may have others
        table.add_row("level", f"{indicator.level} of 4: {_LEVELS[indicator.level]}" if known else str(indicator.level))
    return Group(_headline(indicator), table, provenance(indicator, zone))


def provenance(indicator: indicator_pb2.Indicator, zone: tzinfo) -> Text:
    """Return where a number comes from: its window, its time in ``zone``, the policy's timezone, and its versions."""
    return Text(
        f"{window(indicator.window_days, indicator.as_of, zone)} · "
        f"register {indicator.register_version[:_VERSION_CHARACTERS]} · method {indicator.method_version}",
        "dim",
    )


def explanation(
    answer: messages.ExplainIndicatorResponse,
    zone: tzinfo,
    names: Mapping[str, str],
    found: Collection[finding_pb2.Finding] = (),
    work: Iterable[register_pb2.Maintenance] = (),
) -> Group:
    """Return losses by stage, the providers at which most is lost, and the links that would raise the index most.

    ``names`` are those of agencies, by id; ``found`` are findings about the exchanges of the link that is explained, and
    ``work`` is what was announced of its target and agencies.
    """
    parts: list[RenderableType] = [_headline(answer.indicator)]
    if answer.estimate or any(getattr(answer.losses, stage) for stage in LOSS_STAGES):
        parts.append(_waterfall(answer))
    else:
        parts.append(Text("It is not known yet where inquiries are lost."))
    if known_percent(answer.indicator.known_share) != known_percent(1):
        parts.append(
            Text(
                f"{unknown_percent(answer.indicator.known_share)} is not known. In sums that is taken to be like what is known (docs/method.md §5).",
                "yellow",
            )
        )
    if few := _rests_on(answer.indicator.interval):
        parts.append(Text(f"In the long run: {_long_run(answer.indicator)}{few} (docs/method.md §6.12).", "yellow"))
    single = answer.HasField("findings")  # one link is its only provider's and its costliest
    if answer.providers and not single:
        parts.append(_providers(answer, names))
    if links := [cost for cost in answer.links if cost.known_share > 0]:
        parts.append(_links(links, answer.estimate, names))
    if guessed := len(answer.links) - len(links):
        parts.append(Text(f"Left out: {plural(guessed, 'link')} without a known slot."))
    if single:
        parts.extend(evidence_parts(answer.findings, zone))
    parts.extend(work_lines(work, answer.indicator, zone))
    if found:
        parts += [Text("What its exchanges show:", "bold"), *finding_lines(found)]
    return Group(*parts, provenance(answer.indicator, zone))


def _headline(indicator: indicator_pb2.Indicator) -> Text:
    kind = IndicatorKind(indicator.kind)
    what = "the time" if kind is IndicatorKind.ENDPOINT else "required inquiries"
    if indicator.HasField("point"):
        found = Text.assemble(
            (point(indicator), "bold green"), f" of {what} answered automatically, correctly and on time "
        )
    else:
        found = Text.assemble(("too little is known", "bold yellow"), f" to say how much of {what} is answered ")
    limits = f"(bounds {bounds(indicator)}, known {known_percent(indicator.known_share)})"
    return Text.assemble((f"{kind.label} {indicator.id}: ", "bold"), found, limits)


def _waterfall(answer: messages.ExplainIndicatorResponse) -> Table:
    table = new_table("Where inquiries are lost", word("stage"), number("lost"), number("left"), word(), gap=1)
    lost = [float(getattr(answer.losses, stage)) for stage in LOSS_STAGES]
    left = answer.estimate + sum(lost)
    table.add_row("required", "", percent(left), _bar(0, left, "bright_black"))
    for stage, share in zip(LOSS_STAGES, lost, strict=True):
        left -= share
        table.add_row(stage_name(stage), f"{100 * share:.1f} pp", percent(left), _bar(left, share, "red"))
    table.add_row("answered", "", percent(answer.estimate), _bar(0, answer.estimate, "green"))
    return table


def _bar(start: float, length: float, style: str) -> Text:
    before, end = round(start * _BAR_CELLS), round((start + length) * _BAR_CELLS)
    return Text(" " * before) + Text("█" * (end - before), style)


def _providers(answer: messages.ExplainIndicatorResponse, names: Mapping[str, str]) -> Table:
    numbers = map(number, ("lost", "mostly", "links"))
    table = new_table("Providers at which most is lost", Column("provider"), text("name"), *numbers, gap=1)
    for loss in answer.providers:
        table.add_row(
            Wrapped(loss.provider),
            names.get(loss.provider, ""),
            points(loss.loss),
            stage_name(largest_loss(loss.losses)),
            str(loss.links),
        )
    return table


def _links(links: Sequence[messages.LinkCost], estimate: float, names: Mapping[str, str]) -> Table:
    numbers = map(number, ("gain", "lost", "mostly", "if fixed"))
    table = new_table("Costliest links", text("link, and who needs what of whom"), *numbers, gap=1)
    for cost in links:
        link = cost.link
        consumer, provider = (names.get(agency) or agency for agency in (link.consumer, link.provider))
        table.add_row(
            Wrapped(link.id, f"{consumer} needs {link.data_item} of {provider}"),
            gain(cost, estimate),
            points(cost.loss),
            "absent" if link.absent else stage_name(largest_loss(cost.losses)),
            percent(cost.index_if_fixed),
        )
    return table


def _strict(indicator: indicator_pb2.Indicator) -> str:
    return percent(indicator.strict.point) if indicator.strict.HasField("point") else "-"


def _rests_on(interval: indicator_pb2.Interval) -> str:
    """Return a remark if an interval rests on too few outages to tell how long they last, else an empty text."""
    if not interval.HasField("outages") or interval.outages >= FEWEST_OUTAGES:
        return ""
    seen = "one outage" if interval.outages else "no outage"
    return f", which rests on {seen}: how low it reaches is mostly assumed"


def _long_run(indicator: indicator_pb2.Indicator) -> str:
    return f"{_interval(indicator)} ({100 * indicator.interval.level:.0f} % interval)"


def _interval(indicator: indicator_pb2.Indicator) -> str:
    return share_range(indicator.interval.low, indicator.interval.high) if indicator.HasField("interval") else "-"
