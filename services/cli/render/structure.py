"""Renders structures and tabulations for ``peyvand structure`` and ``tabulate``. Pure: messages in, renderables out."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from datetime import tzinfo

from rich.console import Group, RenderableType
from rich.table import Column, Table
from rich.text import Text

from peyvand.v1 import indicator_pb2
from peyvand.v1 import indicator_service_pb2 as messages
from services.cli.render.format import (
    Wrapped,
    new_table,
    number,
    percent,
    share_range,
    signed_points,
    text,
    window,
    word,
)
from services.cli.render.rounds import three_bars_table
from services.core.texts import plural

_MAX_ROWS = 10
_NONE = "-"


def structure_answer(answer: messages.GetStructureResponse, zone: tzinfo, names: Mapping[str, str]) -> Group:
    """Return the structure, and the three bars below it; ``names`` are those of agencies, by id."""
    return Group(structure_tables(answer.structure, zone, names), three_bars_table(answer.three_bars))


def structure_tables(structure: indicator_pb2.Structure, zone: tzinfo, names: Mapping[str, str]) -> Group:
    """Return the measures with what they mean, the islands, and the providers that most depends on."""
    parts: list[RenderableType] = [_measures(structure), _islands(structure)]
    roles = sorted(structure.providers, key=lambda role: (-role.loss, role.provider))[:_MAX_ROWS]
    if roles:
        parts.append(_providers(roles, len(structure.providers), names))
    source = f"{window(structure.window_days, structure.as_of, zone)} · register {structure.register_version[:12]}"
    return Group(*parts, Text(f"{source} · method {structure.method_version}", "dim"))


def _measures(structure: indicator_pb2.Structure) -> Table:
    table = new_table("How the agencies are connected", word("measure"), number(), text("meaning"))
    on_paper = f"{structure.pairs_absent} on paper only, {structure.pairs_unknown} unknown"
    table.add_row(
        "pair coverage",
        _bounded(structure.pair_coverage, structure.pair_coverage_upper),
        f"{structure.pairs_working} of {structure.pairs_required} required pairs seen to work; {on_paper}",
    )
    table.add_row(
        "  weighted",
        _bounded(structure.pair_coverage_weighted, structure.pair_coverage_weighted_upper),
        "the same by the weight of the pairs' links",
    )
    largest = max((len(island.agencies) for island in structure.islands), default=0)
    table.add_row(
        "islands", str(len(structure.islands)), f"of agencies that reach each other; the largest has {largest}"
    )
    table.add_row("isolates", str(len(structure.isolates)), "agencies required to take part and in no pair that works")
    table.add_row(
        "fragmentation",
        _bounded(structure.fragmentation_lower, structure.fragmentation),
        "weight of required pairs whose agencies are on different islands",
    )
    table.add_row("reciprocity", _share(structure.reciprocity), "working pairs that work the other way too")
    sides = f"{_index(structure.within_sectors)} within, {_index(structure.across_sectors)} across"
    gap = _NONE if math.isnan(structure.silo_gap) else signed_points(structure.silo_gap)
    table.add_row("silo gap", gap, f"index within sectors less index across them: {sides}")
    table.add_row(
        "concentration", f"{structure.provider_concentration:.3f}", "Herfindahl index of the providers' weight"
    )
    table.add_row("resilience N-1", _share(structure.resilience), _weakest(structure))
    table.add_row("declared", percent(structure.declared), "weight of the links that are not on paper")
    return table


def _weakest(structure: indicator_pb2.Structure) -> str:
    if math.isnan(structure.resilience):
        return "no service had all its links at once, or nothing is known of that: nothing to lose"
    node = structure.weakest or f"the data bus ({plural(structure.bus_links, 'link')})"
    return f"strict share left if {node} failed"


def _islands(structure: indicator_pb2.Structure) -> Table:
    table = new_table(_cut("Islands", len(structure.islands)), number("agencies"), text("which"))
    for island in structure.islands[:_MAX_ROWS]:
        names = ", ".join(island.agencies[:_MAX_ROWS])
        more = len(island.agencies) - _MAX_ROWS
        table.add_row(str(len(island.agencies)), f"{names} and {more} more" if more > 0 else names)
    return table


def _providers(roles: Iterable[indicator_pb2.ProviderRole], of: int, names: Mapping[str, str]) -> Table:
    numbers = map(number, ("links", "weight", "lost", "strict share\nif it failed"))
    title = _cut("Providers by what is lost there", of)
    table = new_table(title, Column("provider"), text("name"), *numbers)
    for role in roles:
        table.add_row(
            Wrapped(role.provider),
            names.get(role.provider, ""),
            str(role.links),
            percent(role.share),
            f"{100 * role.loss:.1f} pp",
            signed_points(-role.strict_loss),
        )
    return table


def tabulation_table(answer: messages.TabulateIndicatorsResponse, attribute: str, zone: tzinfo) -> Group:
    """Return a row per group and one for all: index with bounds, sizes, inquiries per service, how many still on paper.

    Times are in ``zone``, the policy's timezone.
    """
    headings = ("index", "bounds", "agencies", "services", "links", "per\nservice", "on\npaper", "levels 0-4")
    table = new_table(f"Index by {attribute}", text(attribute), *map(number, headings), gap=1)
    table.show_edge = False  # saves two columns
    for group in answer.groups:
        table.add_row(_name(group), *_group(group))
    table.add_section()
    table.add_row("all", *_group(answer.total), style="bold")
    why = "per service: links in force and those still on paper, over services with any; it shows no causes"
    return Group(table, Text(), Text(f"{window(answer.window_days, answer.as_of, zone)} · {why}", "dim"))


def _group(group: messages.TabulatedGroup) -> tuple[str, ...]:
    index = group.index
    return (
        _index(index) if index.links else "n/a",
        share_range(index.lower, index.upper) if index.links else "n/a",
        str(group.agencies),
        str(group.services),
        str(index.links),
        f"{group.inquiries_per_service:.2f}" if group.HasField("inquiries_per_service") else _NONE,
        f"{group.on_paper_per_service:.2f}" if group.HasField("on_paper_per_service") else _NONE,
        " ".join(str(number) for number in group.levels),
    )


def _name(group: messages.TabulatedGroup) -> str:
    if not group.HasField("lowest"):
        return group.value or "not stated"
    return f"{group.lowest:g}" if group.lowest == group.highest else f"{group.lowest:g} to {group.highest:g}"


def _cut(title: str, number: int) -> str:
    return f"{title} (first {_MAX_ROWS} of {number})" if number > _MAX_ROWS else title


def _bounded(lower: float, upper: float) -> str:
    """Return a share, as a range where unknown pairs keep its bounds apart."""
    share = percent(lower)
    return share if share == percent(upper) else share_range(lower, upper)


def _share(value: float) -> str:
    return _NONE if math.isnan(value) else percent(value)


def _index(index: indicator_pb2.SetIndex) -> str:
    if not index.links:
        return "no links"
    return percent(index.point) if index.HasField("point") else "not publishable"
