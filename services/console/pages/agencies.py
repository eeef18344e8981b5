"""Lists all agencies, as providers or as consumers: searched, filtered by sector, sorted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from services.console.pages.page import Page, Visit
from services.console.queries import figures_of, matches
from services.core.model import Indicator, IndicatorKind
from services.core.texts import name_key

_SORTS = ("lower", "name", "links")


@dataclass(frozen=True, slots=True)
class AgenciesView:
    """The agencies that pass the filter, and the reader's choices."""

    side: str
    sort: str
    sector: str
    text: str
    sectors: tuple[str, ...]
    figures: tuple[Indicator, ...]
    total: int


async def gather(visit: Visit) -> AgenciesView:
    """Fetch one side of all agencies."""
    side, sort = visit.chosen("side", "provider", "consumer"), visit.chosen("sort", *_SORTS)
    sector = visit.chosen("sector", "", *visit.names.sectors)
    text = visit.query.get("name", "").strip()
    kind = IndicatorKind.PROVIDER if side == "provider" else IndicatorKind.CONSUMER
    figures = await figures_of(visit.api.indicators(kind, window_days=visit.window))
    order: dict[str, Callable[[Indicator], Any]] = {
        "lower": lambda one: (one.lower, one.id),
        "name": lambda one: visit.agency_order(one.id),
        "links": lambda one: (-one.links_required, one.id),
    }
    wanted = name_key(text)
    left = [
        one
        for one in figures
        if (not sector or visit.names.sector_of(one.id) == sector)
        and ((agency := visit.names.agencies.get(one.id)) is None or matches(wanted, agency))
    ]
    return AgenciesView(
        side=side,
        sort=sort,
        sector=sector,
        text=text,
        sectors=visit.sectors(),
        figures=tuple(sorted(left, key=order[sort])),
        total=len(figures),
    )


PAGE = Page("agencies", "/agencies", gather)
