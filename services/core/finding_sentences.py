# ruff: noqa: RUF001 - the Persian texts are Persian on purpose
"""Findings about exchanges as sentences in English and Persian, the same wherever they are read. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, tzinfo
from math import floor, log10
from typing import Final

from persiantools.jdatetime import JalaliDate

from services.core.model import Finding, FindingKind, FindingScope, ProbeView

ENGLISH: Final = "en"
PERSIAN: Final = "fa"

_DIGITS = str.maketrans("0123456789.,", "۰۱۲۳۴۵۶۷۸۹٫٬")
_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)


@dataclass(frozen=True, slots=True)
class PartyNames:
    """What a finding's subject is called in one language; empty where it has no such party."""

    consumer: str = ""
    provider: str = ""
    service: str = ""
    bus: str = ""


_WHO: Mapping[str, Mapping[FindingScope, str]] = {
    ENGLISH: {
        FindingScope.FLOW: "Calls by {consumer} to service {service} of {provider}",
        FindingScope.SERVICE: "Calls to service {service} of {provider}",
        FindingScope.PROVIDER: "Calls to all services of {provider}",
        FindingScope.CONSUMER: "Calls by {consumer} to all services",
        FindingScope.BUS: "Calls over the data bus {bus}",
    },
    PERSIAN: {
        FindingScope.FLOW: "فراخوانی‌های سرویس {service} از {provider} به دست {consumer}",
        FindingScope.SERVICE: "فراخوانی‌های سرویس {service} از {provider}",
        FindingScope.PROVIDER: "فراخوانی‌های همهٔ سرویس‌های {provider}",
        FindingScope.CONSUMER: "فراخوانی‌های {consumer} از همهٔ سرویس‌ها",
        FindingScope.BUS: "فراخوانی‌ها روی گذرگاه دادهٔ {bus}",
    },
}

_WHAT: Mapping[str, Mapping[FindingKind, str]] = {
    ENGLISH: {
        FindingKind.SILENCE: "stopped at {since}: {low} to {high} were expected since, and there were {seen}.",
        FindingKind.FALL: "fell by {less} at {since}: {low} to {high} were expected since, and there were {seen}.",
        FindingKind.RISE: "rose by {more} at {since}: {low} to {high} were expected since, and there were {seen}.",
        FindingKind.BUS_FAILURES: "fail more often on the bus since {since}: {seen} of them, {low} to {high} as a rule.",
        FindingKind.PROVIDER_FAILURES: (
            "fail more often at the provider since {since}: {seen} of them, {low} to {high} as a rule."
        ),
        FindingKind.SLOW: "take longer since {since}: {seen} ms on average, {low} to {high} ms as a rule.",
        FindingKind.SIZE: "have another size since {since}: {seen} bytes on average, {low} to {high} as a rule.",
        FindingKind.REPEATS: "are sent again more often since {since}: {seen} of them, {low} to {high} as a rule.",
    },
    PERSIAN: {
        FindingKind.SILENCE: "از {since} قطع شده است: از آن زمان {low} تا {high} مورد انتظار می‌رفت و {seen} مورد بود.",
        FindingKind.FALL: "از {since} به اندازهٔ {less} کم شده است: {low} تا {high} مورد انتظار می‌رفت و {seen} مورد بود.",
        FindingKind.RISE: "از {since} به اندازهٔ {more} زیاد شده است: {low} تا {high} مورد انتظار می‌رفت و {seen} مورد بود.",
        FindingKind.BUS_FAILURES: "از {since} بیشتر روی گذرگاه شکست می‌خورد: {seen}، در حالی که معمولاً {low} تا {high} است.",
        FindingKind.PROVIDER_FAILURES: (
            "از {since} بیشتر نزد ارائه‌دهنده شکست می‌خورد: {seen}، در حالی که معمولاً {low} تا {high} است."
        ),
        FindingKind.SLOW: (
            "از {since} کندتر است: میانگین {seen} میلی‌ثانیه، در حالی که معمولاً {low} تا {high} میلی‌ثانیه است."
        ),
        FindingKind.SIZE: "از {since} اندازهٔ دیگری دارد: میانگین {seen} بایت، در حالی که معمولاً {low} تا {high} بایت است.",
        FindingKind.REPEATS: "از {since} بیشتر دوباره فرستاده می‌شود: {seen}، در حالی که معمولاً {low} تا {high} است.",
    },
}

_SHARES = (FindingKind.BUS_FAILURES, FindingKind.PROVIDER_FAILURES, FindingKind.REPEATS)

_FLOWS = {
    ENGLISH: "{count} clients and services are concerned.",
    PERSIAN: "{count} جفت سامانه و سرویس را در بر می‌گیرد.",
}
_NOBODY_CALLS = {
    ENGLISH: "Probes of the same links pass: nobody calls.",
    PERSIAN: "آزمون همین پیوندها موفق است: کسی فراخوانی نمی‌کند.",
}
_FEWER_CALL = {
    ENGLISH: "Probes of the same links pass: fewer calls are made.",
    PERSIAN: "آزمون همین پیوندها موفق است: فراخوانی کمتری انجام می‌شود.",
}
_FOR_US_ONLY = {
    ENGLISH: "Probes of the same links pass: it works for probes only.",
    PERSIAN: "آزمون همین پیوندها موفق است: فقط برای آزمون کار می‌کند.",
}
_PASS = {ENGLISH: "Probes of the same links pass.", PERSIAN: "آزمون همین پیوندها موفق است."}
_ON_PASS = {
    FindingKind.SILENCE: _NOBODY_CALLS,
    FindingKind.FALL: _FEWER_CALL,
    FindingKind.BUS_FAILURES: _FOR_US_ONLY,
    FindingKind.PROVIDER_FAILURES: _FOR_US_ONLY,
}
_FAIL = {ENGLISH: "Probes of the same links fail too.", PERSIAN: "آزمون همین پیوندها هم ناموفق است."}
_CHANCE = {ENGLISH: "By luck it happens once in {times} times.", PERSIAN: "احتمال تصادفی بودن آن یک در {times} است."}
_ENDED = {ENGLISH: "It was over at {ended}.", PERSIAN: "در {ended} پایان یافت."}


def finding_sentences(finding: Finding, parties: PartyNames, zone: tzinfo, language: str) -> str:
    """Return a finding as sentences in ``en`` or ``fa``: what, where, since when, how much, what probes say, how likely."""
    who = _WHO[language][finding.scope].format(
        consumer=parties.consumer, provider=parties.provider, service=parties.service, bus=parties.bus
    )
    low, seen, high = (
        _write_amount(amount, finding.kind, language)
        for amount in (finding.expected_low, finding.seen, finding.expected_high)
    )
    change = finding.seen / finding.expected - 1.0 if finding.expected > 0 else 0.0
    what = _WHAT[language][finding.kind].format(
        since=write_moment(finding.since, zone, language),
        low=low,
        seen=seen,
        high=high,
        less=_write_share(-change, language),
        more=_write_share(change, language),
    )
    parts = [f"{who} {what}"]
    if finding.flow_count > 1:
        parts.append(_FLOWS[language].format(count=_write_number(finding.flow_count, language)))
    if (view := _probes(finding)) is not None:
        parts.append(view[language])
    if finding.chance > 0:
        parts.append(_CHANCE[language].format(times=_write_number(_rounded(1.0 / finding.chance), language)))
    if finding.ended_at is not None:
        parts.append(_ENDED[language].format(ended=write_moment(finding.ended_at, zone, language)))
    return " ".join(parts)


def write_moment(moment: int, zone: tzinfo, language: str) -> str:
    """Return a moment by the clock of ``zone``, by the Jalali calendar in Persian: ``12:00 on 27 November 2026``."""
    local = datetime.fromtimestamp(moment, zone)
    if language == PERSIAN:
        day = JalaliDate(local.date())  # type: ignore[no-untyped-call]  # the library has no types
        return f"ساعت {local:%H:%M} روز {day.day} {day.strftime('%B', locale='fa')} {day.year}".translate(_DIGITS)
    return f"{local:%H:%M} on {local.day} {_MONTHS[local.month - 1]} {local.year}"


def _probes(finding: Finding) -> Mapping[str, str] | None:
    if finding.probes is ProbeView.NONE:
        return None
    if finding.probes is ProbeView.FAIL:
        return _FAIL
    return _ON_PASS.get(finding.kind, _PASS)


def _write_amount(amount: float, kind: FindingKind, language: str) -> str:
    return _write_share(amount, language) if kind in _SHARES else _write_number(round(amount), language)


def _write_share(share: float, language: str) -> str:
    percent = 100.0 * share
    written = f"{percent:.0f}" if percent >= 10 or not percent else f"{percent:.1f}"
    return f"{written.translate(_DIGITS)} درصد" if language == PERSIAN else f"{written} %"


def _write_number(number: int, language: str) -> str:
    written = f"{number:,}"
    return written.translate(_DIGITS) if language == PERSIAN else written


def _rounded(number: float) -> int:
    """Return a number with one digit that counts: how likely luck is is known no better."""
    if number < 1:
        return 1
    power = 10 ** floor(log10(min(number, 1e15)))
    return int(min(number, 1e15) // power) * int(power)
