"""Shows one pair of agencies: its index, and the links behind it for readers who see them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from services.console.charts import MatrixCell
from services.console.pages.agency import LinkRow, links_of, row_of
from services.console.pages.matrix import cell_of
from services.console.pages.page import NoSuchPageError, Page, Visit
from services.core.codec import losses_from_message
from services.core.model import Losses


@dataclass(frozen=True, slots=True)
class PairView:
    """The pair and its links."""

    cell: MatrixCell
    known_share: float
    losses: Losses
    as_of: int
    links: tuple[LinkRow, ...]


async def gather(visit: Visit) -> PairView:
    """Fetch the pair and its links."""
    consumer, provider = visit.path["consumer"], visit.path["provider"]
    if consumer not in visit.names.agencies or provider not in visit.names.agencies:
        raise NoSuchPageError
    answer, links = await asyncio.gather(
        visit.api.pairs(consumer=consumer, provider=provider, window_days=visit.window),
        _links(visit, consumer, provider),
    )
    if not answer.pairs:
        raise NoSuchPageError
    pair = answer.pairs[0]
    return PairView(
        cell=cell_of(pair),
        known_share=pair.index.known_share,
        losses=losses_from_message(pair.losses),
        as_of=answer.as_of.seconds,
        links=links,
    )


async def _links(visit: Visit, consumer: str, provider: str) -> tuple[LinkRow, ...]:
    if not visit.sees_links:
        return ()
    return tuple(map(row_of, await links_of(visit, consumer=consumer, provider=provider)))


PAGE = Page("pair", "/matrix/{consumer}/{provider}", gather)
