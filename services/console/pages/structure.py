"""Shows how the agencies are connected: islands, isolates, reciprocity, the silo gap, and the cost of one failure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from services.console.pages.page import Page, Visit
from services.console.texts import Row, version_row

_ROLES = 10


@dataclass(frozen=True, slots=True)
class SetShare:
    """The index of a set of links with its bounds."""

    links: int
    point: float | None
    lower: float
    upper: float


@dataclass(frozen=True, slots=True)
class NodeLossView:
    """What falls when one node fails; ``provider`` is empty for the data bus."""

    provider: str
    links: int
    strict_loss: float


@dataclass(frozen=True, slots=True)
class StructureView:
    """The figures of the page; None where a measure does not apply."""

    pairs_required: int
    pairs_working: int
    pairs_absent: int
    pairs_unknown: int
    coverage: float
    coverage_upper: float
    islands: tuple[tuple[str, ...], ...]
    isolates: tuple[str, ...]
    agencies: int
    fragmentation: float
    reciprocity: float | None
    within: SetShare
    across: SetShare
    silo_gap: float | None
    resilience: float | None
    weakest: str
    nodes: tuple[NodeLossView, ...]


async def gather(visit: Visit) -> StructureView:
    """Fetch the structure."""
    one = (await visit.api.structure(visit.window)).structure
    nodes = [NodeLossView(role.provider, role.links, role.strict_loss) for role in one.providers]
    if one.bus_links:
        nodes.append(NodeLossView("", one.bus_links, one.bus_strict_loss))
    nodes.sort(key=lambda node: (-node.strict_loss, node.provider))
    islands = tuple(tuple(island.agencies) for island in one.islands)
    return StructureView(
        pairs_required=one.pairs_required,
        pairs_working=one.pairs_working,
        pairs_absent=one.pairs_absent,
        pairs_unknown=one.pairs_unknown,
        coverage=one.pair_coverage,
        coverage_upper=one.pair_coverage_upper,
        islands=tuple(island for island in islands if len(island) > 1),
        isolates=tuple(one.isolates),
        agencies=sum(map(len, islands)),
        fragmentation=one.fragmentation,
        reciprocity=_known(one.reciprocity),
        within=_set(one.within_sectors),
        across=_set(one.across_sectors),
        silo_gap=_known(one.silo_gap),
        resilience=_known(one.resilience),
        weakest=one.weakest,
        nodes=tuple(nodes[:_ROLES]),
    )


_MEASURES = (
    *("pairs_required", "pairs_working", "pairs_absent", "pairs_unknown"),
    *("pair_coverage", "pair_coverage_upper", "pair_coverage_weighted", "pair_coverage_weighted_upper"),
    *("fragmentation", "fragmentation_lower", "reciprocity", "silo_gap", "provider_concentration"),
    *("bus_links", "bus_strict_loss", "resilience", "weakest", "declared"),
)


async def measure_rows(visit: Visit) -> list[Row]:
    """Return one row for each measure of the structure."""
    one = (await visit.api.structure(visit.window)).structure
    given = {name: getattr(one, name) for name in _MEASURES}
    for name, links in (("within_sectors", _set(one.within_sectors)), ("across_sectors", _set(one.across_sectors))):
        given |= {f"{name}_{part}": getattr(links, part) for part in ("point", "lower", "upper")}
    versions = version_row(one)
    return [
        {"measure": name, "value": _known(value) if isinstance(value, float) else value, **versions}
        for name, value in given.items()
    ]


async def island_rows(visit: Visit) -> list[Row]:
    """Return the agencies of each island. Islands are numbered from 1, the largest first."""
    one = (await visit.api.structure(visit.window)).structure
    return [
        {"island": number, "agency": agency, **version_row(one)}
        for number, island in enumerate(one.islands, 1)
        for agency in sorted(island.agencies)
    ]


async def provider_rows(visit: Visit) -> list[Row]:
    """Return what depends on each provider."""
    one = (await visit.api.structure(visit.window)).structure
    names = ("provider", "links", "share", "loss", "strict_loss")
    return [{name: getattr(role, name) for name in names} | version_row(one) for role in one.providers]


def _set(message: Any) -> SetShare:
    point = message.point if message.HasField("point") else None
    return SetShare(message.links, point, message.lower, message.upper)


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value


PAGE = Page("structure", "/structure", gather)
