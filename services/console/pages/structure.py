"""Shows how the agencies are connected: islands, isolates, reciprocity, the silo gap, and the cost of one failure."""

from __future__ import annotations

from dataclasses import dataclass

from services.console.pages.page import Page, Visit
from services.console.texts import Row, version_row
from services.core.codec import structure_from_message
from services.core.model import Structure

_ROLES = 10


@dataclass(frozen=True, slots=True)
class NodeLossView:
    """What falls when one node fails; ``provider`` is empty for the data bus."""

    provider: str
    links: int
    strict_loss: float


@dataclass(frozen=True, slots=True)
class StructureView:
    """The structure, its islands of several agencies, how many agencies it has, and the nodes that cost most."""

    structure: Structure
    islands: tuple[tuple[str, ...], ...]
    agencies: int
    nodes: tuple[NodeLossView, ...]


async def gather(visit: Visit) -> StructureView:
    """Fetch the structure."""
    one = structure_from_message((await visit.api.structure(visit.window)).structure)
    nodes = [NodeLossView(role.provider, role.links, role.strict_loss) for role in one.providers]
    if one.bus_links:
        nodes.append(NodeLossView("", one.bus_links, one.bus_strict_loss))
    nodes.sort(key=lambda node: (-node.strict_loss, node.provider))
    return StructureView(
        structure=one,
        islands=tuple(island for island in one.islands if len(island) > 1),
        agencies=sum(map(len, one.islands)),
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
    message = (await visit.api.structure(visit.window)).structure
    one, versions = structure_from_message(message), version_row(message)
    given = {name: getattr(one, name) for name in _MEASURES}
    for name, links in (("within_sectors", one.within_sectors), ("across_sectors", one.across_sectors)):
        given |= {f"{name}_{part}": getattr(links, part) for part in ("point", "lower", "upper")}
    return [{"measure": name, "value": value, **versions} for name, value in given.items()]


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


PAGE = Page("structure", "/structure", gather)
