"""Whether Peyvand itself is well: how fresh and how complete the figures are, and from which versions they come."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from services.console.pages.page import Page, Visit
from services.console.queries import figure_of
from services.core.model import Indicator, IndicatorKind


@dataclass(frozen=True, slots=True)
class MonitorView:
    """The government's figures of every window, and what the register requires to be measured."""

    figures: tuple[Indicator, ...]
    vantages: tuple[str, ...]
    slot_seconds: int
    epoch: int
    published: int
    agencies: int
    links: int
    links_absent: int


async def gather(visit: Visit) -> MonitorView:
    """Fetch the figures of every window."""
    names = visit.names
    figures = await asyncio.gather(
        *(visit.api.indicator(IndicatorKind.GOVERNMENT, "", days) for days in names.windows_days)
    )
    return MonitorView(
        figures=tuple(map(figure_of, figures)),
        vantages=names.vantages,
        slot_seconds=names.slot_seconds,
        epoch=names.epoch,
        published=names.published,
        agencies=len(names.agencies),
        links=names.links,
        links_absent=names.links_absent,
    )


PAGE = Page("monitor", "/monitor", gather, has_window=False)
