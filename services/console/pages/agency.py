"""Shows one agency twice: how others answer it, and how it answers others."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from services.console.pages.findings import FindingView, findings_of
from services.console.pages.news import MaintenanceView, maintenance_views
from services.console.pages.page import NoSuchPageError, Page, Visit
from services.console.pages.trends import Trend, span_of, trend_from
from services.console.queries import (
    LinkGain,
    LossAt,
    NamedLink,
    by_lower_bound,
    collected,
    link_gains,
    naming,
    provider_losses,
)
from services.core.codec import indicator_from_message, losses_from_message
from services.core.model import Indicator, IndicatorKind, Losses

_GAINS = 5
_FIRST_LINKS = 20
"""How many links of one side are listed, the worst ones, unless the address asks for all."""


@dataclass(frozen=True, slots=True)
class AgencySide:
    """An agency in one role: its index, where inquiries are lost, what would raise it, and its trend."""

    figure: Indicator
    estimate: float
    losses: Losses
    gains: tuple[LinkGain, ...]
    losing: tuple[LossAt, ...]
    trend: Trend


@dataclass(frozen=True, slots=True)
class LinkRow(NamedLink):
    """One link in a list; ``figure`` is None where nothing of it is in force."""

    figure: Indicator | None
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
    maintenance: tuple[MaintenanceView, ...]
    certificates: tuple[tuple[int, tuple[LinkRow, ...]], ...]
    """The times at which its own certificates expire soon, each with the links that the certificates serve."""
    findings: tuple[FindingView, ...]


async def gather(visit: Visit) -> AgencyView:
    """Fetch both sides, announced work and findings, and services and links where the reader sees them."""
    agency = visit.path["agency"]
    if agency not in visit.names.agencies:
        raise NoSuchPageError
    _, start, step = span_of(visit)
    answer = await visit.api.agency(
        agency,
        visit.window,
        limit=_GAINS,
        links=_FIRST_LINKS if visit.sees_links else 0,
        since=start,
        step_seconds=step,
    )
    asks: Sequence[Any] = answer.consumer.links
    answers: Sequence[Any] = answer.provider.links
    if visit.sees_links and visit.chosen("links", "", "all"):
        asks, answers = await asyncio.gather(links_of(visit, consumer=agency), links_of(visit, provider=agency))
    services = map(indicator_from_message, answer.services) if visit.sees_links else ()
    return AgencyView(
        agency=agency,
        sector=visit.names.sector_of(agency),
        consumer=_side(visit, answer.consumer),
        provider=_side(visit, answer.provider),
        services=tuple(by_lower_bound(services)),
        asks=tuple(map(row_of, asks)),
        answers=tuple(map(row_of, answers)),
        more_asks=answer.consumer.link_count - len(asks) if visit.sees_links else 0,
        more_answers=answer.provider.link_count - len(answers) if visit.sees_links else 0,
        findings=await findings_of(visit, answer.findings),
        maintenance=await maintenance_views(visit, answer.maintenance),
        certificates=_certificates(map(row_of, answer.provider.expiring)) if visit.sees_links else (),
    )


def _certificates(answers: Iterable[LinkRow]) -> tuple[tuple[int, tuple[LinkRow, ...]], ...]:
    """Group links by the expiry of their certificate; links that share a certificate share its expiry."""
    found: dict[int, tuple[LinkRow, ...]] = {}
    for row in answers:
        if row.certificate_expiry is not None:
            found[row.certificate_expiry] = (*found.get(row.certificate_expiry, ()), row)
    return tuple(sorted(found.items()))


def _side(visit: Visit, role: Any) -> AgencySide | None:
    """Return one side of a message AgencyRole, None where nothing is required."""
    if not role.HasField("explanation"):
        return None
    explanation = role.explanation
    now = indicator_from_message(explanation.indicator)
    return AgencySide(
        figure=now,
        estimate=explanation.estimate,
        losses=losses_from_message(explanation.losses),
        gains=link_gains(explanation),
        losing=provider_losses(explanation) if now.kind is IndicatorKind.CONSUMER else (),
        trend=trend_from(visit, role.history).up_to(now),
    )


async def links_of(visit: Visit, *, consumer: str = "", provider: str = "") -> Sequence[Any]:
    """Return every message LinkStatus of the parties given, the lowest lower bound first; not in force, it is 0."""
    links = await collected(visit.api.links(consumer=consumer, provider=provider, window_days=visit.window))
    return sorted(links, key=lambda status: (status.indicator.lower, status.link.id))


def row_of(status: Any) -> LinkRow:
    """Return the row of a message LinkStatus."""
    return LinkRow(
        **naming(status.link),
        figure=indicator_from_message(status.indicator) if status.HasField("indicator") else None,
        exchanges=status.exchanges.count if status.HasField("exchanges") else 0,
        certificate_expiry=status.certificate_expiry.seconds if status.HasField("certificate_expiry") else None,
    )


PAGE = Page("agency", "/agency/{agency}", gather)
