# ruff: noqa: RUF001 - the Persian texts are Persian on purpose
"""Findings about exchanges as sentences in English and Persian, the same wherever they are read. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, tzinfo
from typing import Final

from persiantools.jdatetime import JalaliDate

from services.core.model import Finding, FindingKind, FindingScope, ProbeView

ENGLISH: Final = "en"
PERSIAN: Final = "fa"

_DIGITS = str.maketrans("0123456789.,", "۰۱۲۳۴۵۶۷۸۹٫٬")


@dataclass(frozen=True, slots=True)
class PartyNames:
    """The names of the parties in a finding's subject in one language; empty where it has no such party."""

    consumer: str = ""
    provider: str = ""
    service: str = ""
    bus: str = ""


_WHO: Mapping[str, Mapping[FindingScope, str]] = {
    ENGLISH: {
        FindingScope.FLOW: "Calls by {consumer} to service {service} of {provider}",
        FindingScope.SERVICE: "Calls to service {service} of {provider}",
        FindingScope.PROVIDER: "Calls to the services of {provider}",
        FindingScope.CONSUMER: "Calls by {consumer} to services of others",
        FindingScope.BUS: "Calls over the data bus {bus}",
    },
    PERSIAN: {
        FindingScope.FLOW: "فراخوانی سرویس {service} {provider} توسط {consumer}",
        FindingScope.SERVICE: "فراخوانی سرویس {service} {provider}",
        FindingScope.PROVIDER: "فراخوانی سرویس‌های {provider}",
        FindingScope.CONSUMER: "فراخوانی سرویس‌های دیگران توسط {consumer}",
        FindingScope.BUS: "فراخوانی سرویس‌ها روی گذرگاه دادهٔ {bus}",
    },
}

_WHAT: Mapping[str, Mapping[FindingKind, str]] = {
    ENGLISH: {
        FindingKind.SILENCE: "{who} stopped at {since}: {low} to {high} were expected since then, and there were none.",
        FindingKind.FALL: "{who} fell by {less} at {since}: {low} to {high} were expected since then, and there were {seen}.",
        FindingKind.RISE: "{who} rose by {more} at {since}: {low} to {high} were expected since then, and there were {seen}.",
        FindingKind.BUS_FAILURES: "{who} have failed on the bus more often since {since}: {seen} of them, usually {low} to {high}.",
        FindingKind.PROVIDER_FAILURES: (
            "{who} have failed at the provider more often since {since}: {seen} of them, usually {low} to {high}."
        ),
        FindingKind.SLOW: "{who} have taken longer since {since}: {seen} ms on average, usually {low} to {high} ms.",
        FindingKind.SIZE: (
            "{who} have carried messages of another size since {since}: {seen} bytes on average, usually {low} to {high}."
        ),
        FindingKind.REPEATS: "{who} have been sent again more often since {since}: {seen} of them, usually {low} to {high}.",
    },
    PERSIAN: {
        FindingKind.SILENCE: (
            "از {since}، {who} متوقف شده است: از آن زمان {low} تا {high} فراخوانی انتظار می‌رفت و هیچ فراخوانی ثبت نشده است."
        ),
        FindingKind.FALL: (
            "از {since}، {who} {less} کاهش یافته است: از آن زمان {low} تا {high} فراخوانی انتظار می‌رفت و {seen} فراخوانی ثبت شده است."
        ),
        FindingKind.RISE: (
            "از {since}، {who} {more} افزایش یافته است: از آن زمان {low} تا {high} فراخوانی انتظار می‌رفت و {seen} فراخوانی ثبت شده است."
        ),
        FindingKind.BUS_FAILURES: (
            "از {since}، {who} بیش از معمول در گذرگاه با خطا روبه‌رو شده است: در {seen} فراخوانی‌ها؛ مقدار معمول {low} تا {high} است."
        ),
        FindingKind.PROVIDER_FAILURES: (
            "از {since}، {who} بیش از معمول در سامانهٔ پاسخ‌دهنده با خطا روبه‌رو شده است: در {seen} فراخوانی‌ها؛ مقدار معمول {low} تا {high} است."
        ),
        FindingKind.SLOW: (
            "از {since}، {who} کندتر شده است: به‌طور میانگین {seen} میلی‌ثانیه؛ مقدار معمول {low} تا {high} میلی‌ثانیه است."
        ),
        FindingKind.SIZE: (
            "از {since}، حجم پیام‌ها در {who} تغییر کرده است: به‌طور میانگین {seen} بایت؛ مقدار معمول {low} تا {high} بایت است."
        ),
        FindingKind.REPEATS: (
            "از {since}، {who} بیش از معمول دوباره فرستاده شده است: در {seen} فراخوانی‌ها؛ مقدار معمول {low} تا {high} است."
        ),
    },
}

_SHARES = (FindingKind.BUS_FAILURES, FindingKind.PROVIDER_FAILURES, FindingKind.REPEATS)

_FLOWS = {
    ENGLISH: "It touches {count} pairs of a calling system and a service.",
    PERSIAN: "این یافته {count} جفت سامانه و سرویس را در بر می‌گیرد.",
}
_NOBODY_CALLS = {
    ENGLISH: "Probes of the same links pass: answers would come, but nobody asks. Look for the cause on the asking side.",
    PERSIAN: "کاوش همین استعلام‌ها موفق است: پاسخ داده می‌شود، اما کسی نمی‌پرسد. علت را در سوی استعلام‌کننده بجویید.",
}
_FEWER_CALL = {
    ENGLISH: "Probes of the same links pass: answers come, but less is asked. Look for the cause on the asking side.",
    PERSIAN: "کاوش همین استعلام‌ها موفق است: پاسخ داده می‌شود، اما کمتر پرسیده می‌شود. علت را در سوی استعلام‌کننده بجویید.",
}
_FOR_US_ONLY = {
    ENGLISH: "Probes of the same links pass: only real calls fail. Look for what they send and probes do not.",
    PERSIAN: "کاوش همین استعلام‌ها موفق است: تنها فراخوانی‌های واقعی ناموفق است. تفاوت آن‌ها را با کاوش‌ها بیابید.",
}
_PASS = {ENGLISH: "Probes of the same links pass.", PERSIAN: "کاوش همین استعلام‌ها موفق است."}
_ON_PASS = {
    FindingKind.SILENCE: _NOBODY_CALLS,
    FindingKind.FALL: _FEWER_CALL,
    FindingKind.BUS_FAILURES: _FOR_US_ONLY,
    FindingKind.PROVIDER_FAILURES: _FOR_US_ONLY,
}
_FAIL = {
    ENGLISH: "Probes of the same links fail too: their evidence says why.",
    PERSIAN: "کاوش همین استعلام‌ها هم ناموفق است: شواهد آن‌ها علت را نشان می‌دهد.",
}
_CHANCE = {
    ENGLISH: "If nothing had changed, chance would bring such a difference at most once in {times} cases.",
    PERSIAN: "اگر چیزی تغییر نکرده بود، چنین اختلافی به تصادف حداکثر یک بار در {times} مورد پیش می‌آمد.",
}
_GOES_ON = {ENGLISH: "It goes on.", PERSIAN: "این وضعیت ادامه دارد."}
_ENDED = {
    ENGLISH: "Since {ended} everything has been as usual again.",
    PERSIAN: "از {ended} وضعیت دوباره عادی است.",
}
_USUAL = {
    ENGLISH: "It went on for weeks and counts as usual since {ended}: nothing says that it is mended.",
    PERSIAN: "این وضعیت هفته‌ها ادامه داشته و از {ended} معمول به شمار می‌آید؛ رفع آن تأیید نشده است.",
}

_MOST_TIMES = 1_000_000_000
"""Smaller chances than once in so many cases are written as this one: nobody tells them apart."""


def finding_sentences(finding: Finding, parties: PartyNames, zone: tzinfo, language: str) -> str:
    """Return a finding as sentences in ``en`` or ``fa``: what, where, since when, how much, what probes say, how likely."""
    who = _WHO[language][finding.scope].format(**asdict(parties))
    low, seen, high = (
        _write_amount(amount, finding.kind, language)
        for amount in (finding.expected_low, finding.seen, finding.expected_high)
    )
    change = finding.seen / finding.expected - 1.0 if finding.expected > 0 else 0.0
    what = _WHAT[language][finding.kind].format(
        who=who,
        since=_write_moment(finding.since, zone, language),
        low=low,
        seen=seen,
        high=high,
        less=_write_share(-change, language),
        more=_write_share(change, language),
    )
    parts = [what]
    if finding.flow_count > 1:
        parts.append(_FLOWS[language].format(count=_write_number(finding.flow_count, language)))
    if finding.probes is ProbeView.FAIL:
        parts.append(_FAIL[language])
    elif finding.probes is ProbeView.PASS:
        parts.append(_ON_PASS.get(finding.kind, _PASS)[language])
    if finding.chance > 0:
        # Rounded down to one significant digit: the probability of luck is not known more exactly.
        digits = str(int(min(max(1.0, 1.0 / finding.chance), _MOST_TIMES)))
        times = int(digits[0]) * 10 ** (len(digits) - 1)
        parts.append(_CHANCE[language].format(times=_write_number(times, language)))
    if finding.ended_at is None:
        parts.append(_GOES_ON[language])
    else:
        end = _USUAL if finding.usual else _ENDED
        parts.append(end[language].format(ended=_write_moment(finding.ended_at, zone, language)))
    return " ".join(parts)


def _write_moment(moment: int, zone: tzinfo, language: str) -> str:
    """Return a moment by the clock of ``zone``, by the Jalali calendar in Persian: ``12:00 on 27 November 2026``."""
    local = datetime.fromtimestamp(moment, zone)
    if language == PERSIAN:
        day = JalaliDate(local.date())  # type: ignore[no-untyped-call]  # the library has no types
        return f"ساعت {local:%H:%M} روز {day.day} {day.strftime('%B %Y', locale='fa')}".translate(_DIGITS)
    return f"{local:%H:%M} on {local.day} {local:%B %Y}"


def _write_amount(amount: float, kind: FindingKind, language: str) -> str:
    return _write_share(amount, language) if kind in _SHARES else _write_number(round(amount), language)


def _write_share(share: float, language: str) -> str:
    percent = 100.0 * share
    written = f"{percent:.0f}" if percent >= 10 or not percent else f"{percent:.1f}"
    return f"{written.translate(_DIGITS)} درصد" if language == PERSIAN else f"{written}\N{NO-BREAK SPACE}%"


def _write_number(number: int, language: str) -> str:
    written = f"{number:,}"
    return written.translate(_DIGITS) if language == PERSIAN else written
