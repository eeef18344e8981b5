"""Shows the government: the question in one sentence, the answer in one number, and what to do about it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from services.console.pages.news import AnnouncementView, announcements_of
from services.console.pages.page import Page, Visit
from services.console.pages.trends import Trend, trend_of
from services.console.queries import LinkGain, LossAt, by_lower_bound, collected, link_gains, provider_losses
from services.core.codec import indicator_from_message, losses_from_message
from services.core.model import Indicator, IndicatorKind, Losses

_ROWS = 5


@dataclass(frozen=True, slots=True)
class ThreeBars:
    """The official score, what is declared as built, and what was measured; never merged."""

    official: float | None
    official_round: str
    declared: float
    measured: float | None
    lower: float
    upper: float


@dataclass(frozen=True, slots=True)
class GovernmentView:
    """The figures of the page."""

    figure: Indicator
    estimate: float
    losses: Losses
    bars: ThreeBars
    trend: Trend
    gains: tuple[LinkGain, ...]
    losing: tuple[LossAt, ...]
    worst: tuple[Indicator, ...]
    best: tuple[Indicator, ...]
    side: str
    announcements: tuple[AnnouncementView, ...]
    """Those in force."""


async def gather(visit: Visit) -> GovernmentView:
    """Fetch everything at once."""
    side = visit.chosen("side", "provider", "consumer")
    kind = IndicatorKind.PROVIDER if side == "provider" else IndicatorKind.CONSUMER
    explanation, structure, agencies, trend, announcements = await asyncio.gather(
        visit.api.explain(IndicatorKind.GOVERNMENT, "", visit.window, limit=_ROWS),
        visit.api.structure(visit.window),
        collected(visit.api.indicators(kind, window_days=visit.window)),
        trend_of(visit, IndicatorKind.GOVERNMENT, ""),
        announcements_of(visit),
    )
    ordered, now = by_lower_bound(agencies), indicator_from_message(explanation.indicator)
    return GovernmentView(
        figure=now,
        estimate=explanation.estimate,
        losses=losses_from_message(explanation.losses),
        bars=three_bars_of(structure.three_bars),
        trend=trend.up_to(now),
        gains=link_gains(explanation),
        losing=provider_losses(explanation),
        worst=tuple(map(indicator_from_message, ordered[:_ROWS])),
        best=tuple(map(indicator_from_message, reversed(ordered[_ROWS:][-_ROWS:]))),
        side=side,
        announcements=tuple(one for one in announcements if one.in_force(visit.edition.as_of)),
    )


def three_bars_of(bars: Any) -> ThreeBars:
    """Return the three bars of a message."""
    return ThreeBars(
        official=bars.official if bars.HasField("official") else None,
        official_round=bars.official_round,
        declared=bars.declared,
        measured=bars.measured if bars.HasField("measured") else None,
        lower=bars.measured_lower,
        upper=bars.measured_upper,
    )


PAGE = Page("government", "/", gather)
