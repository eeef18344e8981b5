"""Shows one link with the evidence behind it: slots, phases, reasons, certificate, and real exchanges."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from services.console.charts import VerdictRun, runs_of
from services.console.pages.findings import FindingView, findings_of
from services.console.pages.news import MaintenanceView, maintenance_views
from services.console.pages.page import Page, Visit
from services.console.pages.trends import Trend, trend_of
from services.console.queries import NamedLink, collected, link_gains, naming
from services.core.codec import OBJECTION_STATES, indicator_from_message
from services.core.errors import ApiForbiddenError, ApiNotApplicableError, ApiUnavailableError
from services.core.model import OTHER, PHASES, Indicator, IndicatorKind, outcome_of, reason_label

_SLOTS = 576
"""Slots of the strip: 48 hours of five minutes each, and as many shorter ones, so that a piece can still be seen."""

_TREND_SECONDS = 1.0
"""Half the time of a page. An api that reads its days for the first time may take longer; a later visit gets them."""

_MOST_LINKS = 1000
"""The most links of one service whose gains are searched."""


@dataclass(frozen=True, slots=True)
class Look:
    """The last measurement of one vantage; times in seconds, None where a phase was skipped."""

    vantage: str
    moment: int
    verdict: str
    reason: str
    latency: float | None
    data_age: float | None
    phases: tuple[tuple[str, float], ...]
    certificate_expiry: int | None
    detail: str


@dataclass(frozen=True, slots=True)
class VantageStrip:
    """The slots as one vantage saw them."""

    vantage: str
    runs: tuple[VerdictRun, ...]


@dataclass(frozen=True, slots=True)
class Compared:
    """Real exchanges beside probes: shares that succeeded, with their intervals if there is enough data."""

    exchanges: int
    ok: int
    shared: bool
    silent: bool
    disagrees: bool
    logs: tuple[float, float, float] | None
    probes: tuple[float, float, float] | None


@dataclass(frozen=True, slots=True)
class LegalBasisView:
    """The rule that requires an inquiry; ``date`` is an ISO date or empty."""

    law: str
    article: str
    date: str


@dataclass(frozen=True, slots=True)
class ObjectionView:
    """An agency's objection to the evidence and the answer to it, each in the reader's language if possible."""

    state: str
    start: int
    end: int | None
    text: str
    answer: str


@dataclass(frozen=True, slots=True)
class LinkView(NamedLink):
    """The link, its figures, and the evidence."""

    target: str
    slo: float
    latency_ms: int
    max_age_s: int | None
    figure: Indicator | None
    runs: tuple[VerdictRun, ...]
    vantages: tuple[VantageStrip, ...]
    looks: tuple[Look, ...]
    reasons: tuple[tuple[str, float, int], ...]
    failures: tuple[Look, ...]
    compared: Compared | None
    legal: LegalBasisView | None
    objections: tuple[ObjectionView, ...]
    unusual: tuple[FindingView, ...]
    maintenance: tuple[MaintenanceView, ...]
    """Work on the link or its agencies in the slots that are shown, or later."""
    gain: float | None
    index_if_fixed: float | None
    trend: Trend | None
    """None where no archive keeps the days of links, or where they cannot be read now."""


async def gather(visit: Visit) -> LinkView:
    """Fetch the link with its slots, its evidence, its trend, and what fixing it would gain."""
    link, seconds = visit.path["link"], visit.names.slot_seconds
    end = visit.edition.as_of
    start = end - _SLOTS * seconds
    answer, explanation, trend = await asyncio.gather(
        visit.api.link(link, visit.window, slots_from=start, slots_to=end),
        _explanation(visit, link),
        _trend(visit, link),
    )
    known, status = answer.link.link, answer.link
    gain, index_if_fixed = await _gain(visit, known.service, link)
    slots = list(answer.slots)
    findings = None if explanation is None else explanation.findings
    figure = indicator_from_message(status.indicator) if status.HasField("indicator") else None
    return LinkView(
        **naming(known),
        target=known.target,
        slo=known.slo,
        latency_ms=known.latency_ms,
        max_age_s=known.max_age_s if known.HasField("max_age_s") else None,
        figure=figure,
        runs=runs_of(((slot.slot_start.seconds, *_judged(slot.verdict, slot.reason)) for slot in slots), seconds),
        vantages=_by_vantage(slots, seconds),
        looks=tuple(map(look_of, findings.latest)) if findings else (),
        reasons=tuple((reason_label(one.reason), one.share, one.slots) for one in findings.reasons) if findings else (),
        failures=tuple(map(look_of, findings.failures)) if findings else (),
        compared=_compared(status.reconciliation) if status.HasField("reconciliation") else None,
        legal=LegalBasisView(known.legal_basis.law, known.legal_basis.article, known.legal_basis.date)
        if known.HasField("legal_basis")
        else None,
        objections=tuple(objection_of(visit, one) for one in status.objections),
        unusual=await findings_of(visit, answer.findings),
        maintenance=await _work(visit, (link, known.consumer, known.provider), start),
        gain=gain,
        index_if_fixed=index_if_fixed,
        trend=trend.up_to(figure) if trend and figure else trend,
    )


async def _explanation(visit: Visit, link: str) -> Any:
    """Return the explanation of the link's index, None if nothing of the link is in force in the window."""
    try:
        return await visit.api.explain(IndicatorKind.LINK, link, visit.window, limit=1)
    except ApiNotApplicableError:
        return None


async def _work(visit: Visit, subjects: tuple[str, ...], since: int) -> tuple[MaintenanceView, ...]:
    """Return the announced work on some subjects that was not over at ``since``."""
    of_each = await asyncio.gather(*(collected(visit.api.maintenance(subject)) for subject in subjects))
    return await maintenance_views(visit, (one for found in of_each for one in found), since)


async def _trend(visit: Visit, link: str) -> Trend | None:
    """Return the index of the link at the end of each sealed day; None if unavailable, as the page works without it."""
    try:
        async with asyncio.timeout(_TREND_SECONDS):
            return await trend_of(visit, IndicatorKind.LINK, link)
    except (ApiNotApplicableError, ApiUnavailableError, TimeoutError):
        return None


async def _gain(visit: Visit, service: str, link: str) -> tuple[float | None, float | None]:
    """Return the gain of the service's index if the link were always answered, and that index; None if unknown."""
    try:
        explanation = await visit.api.explain(IndicatorKind.SERVICE, service, visit.window, limit=_MOST_LINKS)
    except (ApiForbiddenError, ApiNotApplicableError):
        return None, None  # the service is another agency's, or nothing of it is in force
    gains = (one for one in link_gains(explanation) if one.link == link)
    return next(((one.gain, one.index_if_fixed) for one in gains), (None, None))


def objection_of(visit: Visit, message: Any) -> ObjectionView:
    """Return the objection of a message."""
    return ObjectionView(
        state=OBJECTION_STATES.get(message.state, OTHER),
        start=getattr(message, "from").seconds,
        end=message.to.seconds if message.HasField("to") else None,
        text=visit.either(message.text_en, message.text_fa),
        answer=visit.either(message.answer_en, message.answer_fa),
    )


def look_of(measurement: Any) -> Look:
    """Return the look of a message Measurement."""
    phases = measurement.phases
    return Look(
        vantage=measurement.vantage,
        moment=(measurement.time if measurement.HasField("time") else measurement.slot_start).seconds,
        verdict=outcome_of(measurement.outcome).label,
        reason=reason_label(measurement.reason),
        latency=_seconds(measurement, "latency"),
        data_age=_seconds(measurement, "data_age"),
        phases=tuple((name, seconds) for name in PHASES if (seconds := _seconds(phases, name)) is not None),
        certificate_expiry=measurement.certificate_expiry.seconds
        if measurement.HasField("certificate_expiry")
        else None,
        detail=measurement.detail,
    )


def _seconds(message: Any, name: str) -> float | None:
    return getattr(message, name).ToMicroseconds() / 1e6 if message.HasField(name) else None


def _judged(outcome: int, reason: int) -> tuple[str, str]:
    return outcome_of(outcome).label, reason_label(reason)


def _by_vantage(slots: list[Any], seconds: int) -> tuple[VantageStrip, ...]:
    names = sorted({one.vantage for slot in slots for one in slot.vantages})
    if len(names) < 2:
        return ()  # the strip above shows the only vantage
    return tuple(
        VantageStrip(
            name,
            runs_of(
                (
                    (slot.slot_start.seconds, *_judged(one.outcome, one.reason))
                    for slot in slots
                    for one in slot.vantages
                    if one.vantage == name
                ),
                seconds,
            ),
        )
        for name in names
    )


def _compared(row: Any) -> Compared:
    def estimate(name: str) -> tuple[float, float, float] | None:
        one = getattr(row, name)
        return (one.value, one.low, one.high) if row.HasField(name) else None

    return Compared(row.exchanges, row.ok, row.shared, row.silent, row.disagrees, estimate("logs"), estimate("probes"))


PAGE = Page("link", "/link/{link}", gather, is_public=False)
