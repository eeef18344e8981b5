"""Searches sectors, agencies, services and links by name or id, folded as the register folds names."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import islice

from peyvand.v1 import indicator_pb2
from peyvand.v1 import register_service_pb2 as messages
from services.api.access import Caller, current_caller
from services.api.errors import InvalidRequestError
from services.api.model import ReadModel, RegisterView
from services.api.paging import page_of
from services.core.model import Agency, IndicatorKind, Service
from services.core.tasks import SharedResult
from services.core.texts import name_key

MAX_QUERY = 200
"""The longest query, in characters: longer than names are."""

MOST_LINKS = 1_000
"""The most links that a search finds: a reader with so many needs another word, and each takes time to order."""

_KINDS = (IndicatorKind.SECTOR, IndicatorKind.CONSUMER, IndicatorKind.SERVICE, IndicatorKind.LINK)
"""The kinds that are found, in the order of equally close results; an agency is found as consumer."""


class Searcher:
    """Finds what the caller may see; texts of sectors, agencies and services are kept for the register in force."""

    def __init__(self, model: ReadModel) -> None:
        self._model = model
        self._texts = SharedResult[dict[IndicatorKind, dict[str, str]]]()

    async def answer(self, request: messages.SearchRequest) -> messages.SearchResponse:
        """Return one page of results, the closest first. Raises RequestError."""
        query = _folded(request.query)
        if not query or len(request.query) > MAX_QUERY:
            raise InvalidRequestError(
                "QUERY_INVALID", f"a query is at most {MAX_QUERY} characters, with a letter or digit"
            )
        view = self._model.view
        # In threads, so that other calls continue: folding a federation's names takes a second, scanning links a tenth.
        texts = await self._texts.get(view, partial(_texts, view))
        found = await asyncio.to_thread(_find, view, texts, query, current_caller())
        page = page_of(found, ("Search", query), size=request.page_size, token=request.page_token)
        results, next_token = page.bounded(_result(view, key) for key in page.ids)
        return messages.SearchResponse(results=results, next_page_token=next_token)


def _folded(text: str) -> str:
    return name_key(text.replace("-", " "))


def _texts(view: RegisterView) -> dict[IndicatorKind, dict[str, str]]:
    """Return the folded texts by which sectors, agencies and services are found, one per line, by kind and id."""
    register = view.register
    named: tuple[tuple[IndicatorKind, Mapping[str, Agency] | Mapping[str, Service]], ...] = (
        (IndicatorKind.CONSUMER, register.agencies),
        (IndicatorKind.SERVICE, register.services),
    )
    return {
        IndicatorKind.SECTOR: {sector: _folded(sector) for sector in view.sectors},
        **{
            kind: {
                name: "\n".join(map(_folded, (name, entity.name_en, entity.name_fa)))
                for name, entity in entities.items()
            }
            for kind, entities in named
        },
    }


def _find(view: RegisterView, texts: dict[IndicatorKind, dict[str, str]], query: str, caller: Caller) -> Sequence[str]:
    """Return the sorted keys of the results: how close each is, the place of its kind, and its id."""
    words = query.split()
    return sorted(
        f"{_distance(own, query, words)}{_KINDS.index(kind)}{name}"
        for kind in _KINDS
        if caller.lists(kind)
        for name, own in (_links(view, words, caller) if kind is IndicatorKind.LINK else texts[kind].items())
        if all(word in own for word in words) and caller.sees(kind, name, view.register)
    )


def _links(view: RegisterView, words: Sequence[str], caller: Caller) -> Iterator[tuple[str, str]]:
    """Yield the first links whose id or data item holds every word; a million texts of links take too much memory."""
    register = view.register
    first, rest = words[0], words[1:]
    found = (
        link
        for link in register.links.values()
        # Most links do not have the first word, so it is looked for by itself.
        if (first in link.id or first in link.data_item.casefold())
        and all(word in link.id or word in link.data_item.casefold() for word in rest)
        and caller.sees(IndicatorKind.LINK, link.id, register)
    )
    # The data item is not a name of the link, so a match at its beginning counts only as the beginning of a word.
    return ((link.id, f"{_folded(link.id)}\n {link.data_item.casefold()}") for link in islice(found, MOST_LINKS))


def _distance(texts: str, query: str, words: Sequence[str]) -> int:
    """Return 0 if a line is the query, 1 if one begins with it, 2 if words begin with its words, 3 otherwise."""
    lines = f"\n{texts}\n"
    if f"\n{query}" in lines:
        return 0 if f"\n{query}\n" in lines else 1
    beginnings = lines.replace("\n", " ")
    return 2 if all(f" {word}" in beginnings for word in words) else 3


def _result(view: RegisterView, key: str) -> messages.SearchResult:
    kind, name, register = _KINDS[int(key[1])], key[2:], view.register
    result = messages.SearchResult(kind=indicator_pb2.IndicatorKind.ValueType(kind), id=name)
    match kind:
        case IndicatorKind.CONSUMER:
            agency = register.agencies[name]
            result.name_en, result.name_fa = agency.name_en, agency.name_fa
        case IndicatorKind.SERVICE | IndicatorKind.LINK:
            link = register.links.get(name) if kind is IndicatorKind.LINK else None
            service = register.services[name if link is None else link.service]
            result.name_en, result.name_fa, result.agency = service.name_en, service.name_fa, service.agency
            if link is not None:
                result.provider, result.data_item = link.provider, link.data_item
    return result
