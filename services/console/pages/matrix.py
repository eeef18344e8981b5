"""Shows who asks whom: the index of every pair of agencies or, where these are too many, of sectors."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from services.client import PairLevel
from services.console.charts import Matrix, MatrixCell, arrange_matrix
from services.console.pages.page import Page, Visit
from services.core.model import IndicatorKind

MOST_AGENCIES = 60
"""How many rows can be read at once. A larger matrix is one of sectors, and each of its cells leads to its agencies."""


@dataclass(frozen=True, slots=True)
class MatrixView:
    """The matrix of sectors or agencies; ``consumer_sector`` and ``provider_sector`` are empty where all are shown."""

    matrix: Matrix
    of_sectors: bool
    sort: str
    sorts: tuple[str, ...]
    consumer_sector: str
    provider_sector: str
    groups: Mapping[str, str]
    """The group of each row and column; the lines of the matrix separate groups."""
    edges: tuple[bool, ...]
    """Whether each column belongs to another group than the one before."""
    pairs: int


async def gather(visit: Visit) -> MatrixView:
    """Fetch the pairs and their order."""
    sectors = ("", *visit.names.sectors)
    asked, answering = visit.chosen("consumer_sector", *sectors), visit.chosen("provider_sector", *sectors)
    chosen = bool(asked or answering)
    of_sectors = visit.chosen("level", "", "sector") == "sector" or (
        len(visit.names.agencies) > MOST_AGENCIES and not chosen
    )
    sorts = ("index", "name") if of_sectors else ("index", "sector", "name", "island")
    sort = visit.chosen("sort", *sorts)
    answer, order = await asyncio.gather(
        visit.api.pairs(
            PairLevel.PAIR_LEVEL_SECTOR if of_sectors else PairLevel.PAIR_LEVEL_AGENCY,
            consumer_sector="" if of_sectors else asked,
            provider_sector="" if of_sectors else answering,
            window_days=visit.window,
        ),
        _order(visit, sort, of_sectors=of_sectors),
    )
    cells = [cell_of(pair) for pair in answer.pairs]
    matrix = arrange_matrix(cells, tuple(order))
    groups = [order[column] for column in matrix.columns]
    return MatrixView(
        matrix=matrix,
        of_sectors=of_sectors,
        sort=sort,
        sorts=sorts,
        consumer_sector=asked,
        provider_sector=answering,
        groups=order,
        edges=tuple(group != before for group, before in zip(groups, groups[:1] + groups, strict=False)),
        pairs=len(cells),
    )


def cell_of(pair: Any) -> MatrixCell:
    """Return the cell of a message Pair."""
    return MatrixCell(
        consumer=pair.consumer,
        provider=pair.provider,
        point=pair.index.point if pair.index.HasField("point") else None,
        lower=pair.index.lower,
        upper=pair.index.upper,
        links=pair.index.links,
        absent=pair.links_absent,
    )


async def _order(visit: Visit, sort: str, *, of_sectors: bool) -> dict[str, str]:
    """Return all ids in order, each with its group, empty where no groups are drawn."""
    names = visit.names
    ids = list(names.sectors if of_sectors else names.agencies)
    ids.sort(key=visit.sector_order if of_sectors else visit.agency_order)
    if sort == "name":
        return dict.fromkeys(ids, "")
    if sort == "sector":
        ids.sort(key=lambda one: visit.sector_order(names.sector_of(one)))
        return {one: names.sector_of(one) for one in ids}
    if sort == "island":
        structure = (await visit.api.structure(visit.window)).structure
        group = {
            agency: f"{number:03}" for number, island in enumerate(structure.islands) for agency in island.agencies
        }
        ids.sort(key=lambda one: group.get(one, "999"))
        return {one: group.get(one, "999") for one in ids}
    kind = IndicatorKind.SECTOR if of_sectors else IndicatorKind.PROVIDER
    lower = {one.id: one.lower async for one in visit.api.indicators(kind, window_days=visit.window)}
    ids.sort(key=lambda one: lower.get(one, 1.0))
    return dict.fromkeys(ids, "")


PAGE = Page("matrix", "/matrix", gather)
