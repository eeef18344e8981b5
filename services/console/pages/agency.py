"""One agency, twice: how others answer it, and how it answers others."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from services.console.pages.costs import LinkGain, LossAt, by_lower_bound, link_gains, provider_losses
from services.console.pages.findings import FindingView, findings_of
from services.console.pages.news import MaintenanceView, maintenance_of
from services.console.pages.page import NoSuchPageError, Page, Visit
from services.console.pages.trends import SPANS, Trend, trend_of
from services.console.queries import NamedLink, collected, figure_of, figures_of, losses_of, naming
from services.core.errors import ApiNotApplicableError
from services.core.model import Indicator, IndicatorKind, Losses

_GAINS = 5
_FIRST_LINKS = 20
"""Links listed of one side, the worst ones, unless the address asks for all."""


@dataclass(frozen=True, slots=True)
class AgencySide:
    """An agency in one role: its index, where inquiries are lost, what would raise it, and its links."""

    figure: Indicator
    estimate: float
    losses: Losses
    gains: tuple[LinkGain, ...]
    losing: tuple[LossAt, ...]
    trend: Trend


@dataclass(frozen=True, slots=True)
class LinkRow(NamedLink):
    """One link in a list."""

    point: float | None
    lower: float
    upper: float
    exchanges: int
    certificate_expiry: int | None
    """When the target's certificate expires, None unless that is soon."""


@dataclass(frozen=True, slots=True)
class AgencyView:
    """Both sides, None where nothing is required; services and links only for readers who see them."""

    agency: str
    sector: str
    consumer: AgencySide | None
    provider: AgencySide | None
    services: tuple[Indicator, ...]
    asks: tuple[LinkRow, ...]
    answers: tuple[LinkRow, ...]
    more_asks: int
    more_answers: int
    spans: tuple[str, ...]
    maintenance: tuple[MaintenanceView, ...]
    certificates: tuple[tuple[int, tuple[LinkRow, ...]], ...]
    """When certificates of its own expire that do so soon, each with the links they serve."""
    findings: tuple[FindingView, ...]


async def gather(visit: Visit) -> AgencyView:
    """Fetch both sides and announced work, and services and links where the reader sees them."""
    agency = visit.path["agency"]
    if agency not in visit.names.agencies:
        raise NoSuchPageError
    (consumer, provider), services, (asks, answers), maintenance, findings = await asyncio.gather(
        asyncio.gather(
            _side(visit, IndicatorKind.CONSUMER, agency),
            _side(visit, IndicatorKind.PROVIDER, agency),
        ),
        _services(visit, agency),
        asyncio.gather(_links(visit, consumer=agency), _links(visit, provider=agency)),
        maintenance_of(visit, agency),
        findings_of(visit, agency),
    )
    most = None if visit.chosen("links", "", "all") else _FIRST_LINKS
    return AgencyView(
        agency=agency,
        sector=visit.names.sector_of(agency),
        consumer=consumer,
        provider=provider,
        services=services,
        asks=tuple(map(row_of, asks[:most])),
        answers=tuple(map(row_of, answers[:most])),
        more_asks=len(asks[most:]) if most else 0,
        more_answers=len(answers[most:]) if most else 0,
        spans=SPANS,
        maintenance=maintenance,
        certificates=_certificates(row_of(one) for one in answers if one.HasField("certificate_expiry")),
        findings=findings,
    )


def _certificates(answers: Iterable[LinkRow]) -> tuple[tuple[int, tuple[LinkRow, ...]], ...]:
    """Group links by when their certificate expires, which is the same for all that share one."""
    found: dict[int, tuple[LinkRow, ...]] = {}
    for row in answers:
        if row.certificate_expiry is not None:
            found[row.certificate_expiry] = (*found.get(row.certificate_expiry, ()), row)
    return tuple(sorted(found.items()))


async def _side(visit: Visit, kind: IndicatorKind, agency: str) -> AgencySide | None:
    try:
        explanation, trend = await asyncio.gather(
            visit.api.explain(kind, agency, visit.window, limit=_GAINS),
            trend_of(visit, kind, agency),
        )
    except ApiNotApplicableError:
        return None  # nothing is required of it in this role
    now = figure_of(explanation.indicator)
    return AgencySide(
        figure=now,
        estimate=explanation.estimate,
        losses=losses_of(explanation.losses),
        gains=link_gains(explanation),
        losing=provider_losses(explanation) if kind is IndicatorKind.CONSUMER else (),
        trend=trend.up_to(now),
    )


async def _services(visit: Visit, agency: str) -> tuple[Indicator, ...]:
    if not visit.sees_links:
        return ()
    found = await figures_of(visit.api.indicators(IndicatorKind.SERVICE, agency=agency, window_days=visit.window))
    return tuple(by_lower_bound(found))


async def _links(visit: Visit, *, consumer: str = "", provider: str = "") -> Sequence[Any]:
    """Return the messages LinkStatus of one side, the worst first."""
    if not visit.sees_links:
        return ()
    links = await collected(visit.api.links(consumer=consumer, provider=provider, window_days=visit.window))
    return sorted(links, key=lambda one: (one.indicator.lower, one.link.id))  # 0 where nothing is published


def row_of(status: Any) -> LinkRow:
    """Return the row of a message LinkStatus."""
    link, indicator = status.link, status.indicator
    published = status.HasField("indicator")
    return LinkRow(
        **naming(link),
        point=indicator.point if published and indicator.HasField("point") else None,
        lower=indicator.lower if published else 0.0,
        upper=indicator.upper if published else 1.0,
        exchanges=status.exchanges.count if status.HasField("exchanges") else 0,
        certificate_expiry=status.certificate_expiry.seconds if status.HasField("certificate_expiry") else None,
    )


PAGE = Page("agency", "/agency/{agency}", gather)
