"""Finds agencies, sectors, services and links by name, folded as in the register."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from services.console.pages.page import Page, Visit
from services.core.model import IndicatorKind
from services.core.texts import name_key

_MOST = 50
_LONGEST = 200
"""The most characters that the api searches for."""


@dataclass(frozen=True, slots=True)
class SearchResult:
    """One result. A link has its service's name; a sector has its key both as ``name`` and as ``sector``."""

    kind: str
    name: str
    path: str
    consumer: str
    provider: str
    data_item: str
    sector: str = ""


@dataclass(frozen=True, slots=True)
class SearchView:
    """The results, the closest first; ``more`` says whether there may be more."""

    text: str
    results: tuple[SearchResult, ...]
    more: bool


async def gather(visit: Visit) -> SearchView:
    """Fetch what the reader may see."""
    text = visit.query.get("q", "").strip()[:_LONGEST]
    if not name_key(text.replace("-", " ")):  # the api refuses an empty search
        return SearchView(text, (), more=False)
    results = await visit.api.search(text, limit=_MOST)
    found = (_found(visit, one) for one in results)
    return SearchView(text, tuple(one for one in found if one is not None), more=len(results) == _MOST)


def _found(visit: Visit, one: Any) -> SearchResult | None:
    """Return one result, None for a kind that has no page here: a newer api may find others."""
    name = visit.either(one.name_en, one.name_fa) or one.id
    match one.kind:
        case IndicatorKind.SERVICE:
            return SearchResult("service", name, f"/service/{one.id}", one.agency, "", "")
        case IndicatorKind.LINK:
            return SearchResult("link", name, f"/link/{one.id}", one.agency, one.provider, one.data_item)
        case IndicatorKind.SECTOR:
            return SearchResult("sector", one.id, "/agencies", "", "", "", sector=one.id)
        case IndicatorKind.CONSUMER:
            return SearchResult("agency", name, f"/agency/{one.id}", "", "", "")
        case _:
            return None


PAGE = Page("search", "/search", gather)
