"""Shows one service: the citizen's journey, inquiry by inquiry."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from services.console.pages.page import NoSuchPageError, Page, Visit
from services.console.pages.trends import Trend, trend_of
from services.console.queries import NamedLink, collected, naming
from services.core.codec import indicator_from_message
from services.core.model import Indicator, IndicatorKind, largest_loss, outcome_of, reason_label


@dataclass(frozen=True, slots=True)
class Inquiry(NamedLink):
    """One inquiry of the journey: who answers, how often, and where it is lost."""

    figure: Indicator | None
    lost_at: str
    verdict: str
    """The verdict of the newest slot, empty where none is in force.

    ``reason`` is why; ``since`` is when this state began, None if long ago.
    """
    reason: str
    since: int | None


@dataclass(frozen=True, slots=True)
class ServiceView:
    """The service with its index and its strict share, and its inquiries."""

    service: str
    agency: str
    channel: str
    figure: Indicator
    inquiries: tuple[Inquiry, ...]
    trend: Trend


async def gather(visit: Visit) -> ServiceView:
    """Fetch the service and its links."""
    service = visit.names.services.get(visit.path["service"])
    if service is None:
        raise NoSuchPageError
    figure, links, trend = await asyncio.gather(
        visit.api.indicator(IndicatorKind.SERVICE, service.id, visit.window),
        collected(visit.api.links(service=service.id, window_days=visit.window, states=True)),
        trend_of(visit, IndicatorKind.SERVICE, service.id),
    )
    now = indicator_from_message(figure)
    return ServiceView(
        service=service.id,
        agency=service.agency,
        channel=service.channel,
        figure=now,
        inquiries=tuple(inquiry_of(one) for one in links),
        trend=trend.up_to(now),
    )


def inquiry_of(status: Any) -> Inquiry:
    """Return the inquiry of a message LinkStatus."""
    published, state = status.HasField("indicator"), status.state
    in_force = status.HasField("state")
    return Inquiry(
        **naming(status.link),
        figure=indicator_from_message(status.indicator) if published else None,
        lost_at=largest_loss(status.indicator.losses) if published else "",
        verdict=outcome_of(state.verdict).label if in_force else "",
        reason=reason_label(state.reason) if in_force else "",
        since=state.since.seconds if state.HasField("since") else None,
    )


PAGE = Page("service", "/service/{service}", gather, is_public=False)
