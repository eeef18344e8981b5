"""Findings as sentences, in both languages."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest

from services.api.answers.finding_sentences import PartyNames, finding_sentences
from services.core.codec import finding_from_message, finding_to_message
from services.core.model import Finding, FindingKind, FindingScope, ProbeView, Review
from tests.support.values.findings import SINCE, finding

TEHRAN = ZoneInfo("Asia/Tehran")
PARTIES = PartyNames("Tax Office", "Customs", "imports", "national")


def said(one: Finding, language: str = "en") -> str:
    return finding_sentences(one, PARTIES, TEHRAN, language)


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        (
            finding(probes=ProbeView.NONE, chance=0.0),
            (
                "Calls by Tax Office to service imports of Customs stopped at 15:30 on 27 November 2026: 184 to 231 were expected "
                "since then, and there were none. It goes on."
            ),
        ),
        (
            finding(
                FindingKind.FALL, FindingScope.SERVICE, seen=80.0, flow_count=3, probes=ProbeView.FAIL, chance=2e-3
            ),
            (
                "Calls to service imports of Customs fell by 61\N{NO-BREAK SPACE}% at 15:30 on 27 November 2026: 184 to 231 were expected since "
                "then, and there were 80. It touches 3 pairs of a calling system and a service. Probes of the same links fail too: their "
                "evidence says why. If nothing had changed, chance would bring such a difference at most once in 500 cases. It goes on."
            ),
        ),
        (
            finding(
                FindingKind.BUS_FAILURES,
                FindingScope.BUS,
                seen=0.213,
                expected=0.003,
                expected_low=0.001,
                expected_high=0.0064,
                ended_at=SINCE + 7_200,
                chance=0.0,
            ),
            (
                "Calls over the data bus national have failed on the bus more often since 15:30 on 27 November 2026: 21\N{NO-BREAK SPACE}% of "
                "them, usually 0.1\N{NO-BREAK SPACE}% to 0.6\N{NO-BREAK SPACE}%. Probes of the same links pass: only real calls fail. Look for what they send and probes do "
                "not. Since 17:30 on 27 November 2026 everything has been as usual again."
            ),
        ),
    ],
)
def test_a_finding_says_what_where_since_when_and_how_much(one: Finding, expected: str) -> None:
    """Amounts are in the unit of the kind, and unknown facts are left out."""
    assert said(one) == expected


def test_what_counts_as_usual_is_not_said_to_be_mended() -> None:
    """A finding that lasted until it became usual does not read like one that is over."""
    one = finding(FindingKind.FALL, ended_at=SINCE + 7_200, usual=True)
    assert said(one).endswith(
        "It went on for weeks and counts as usual since 17:30 on 27 November 2026: nothing says that it is mended."
    )
    assert said(one, "fa").endswith("رفع آن تأیید نشده است.")


def test_persian_has_its_own_calendar_and_digits() -> None:
    """Moments are of the Jalali calendar, and no Latin digit is left."""
    text = said(finding(), "fa")
    assert "ساعت ۱۵:۳۰ روز ۶ آذر ۱۴۰۵" in text
    assert "حداکثر یک بار در ۲۰٬۰۰۰٬۰۰۰ مورد" in text
    assert not set("0123456789") & set(text)


def test_what_is_beyond_telling_is_once_in_a_billion() -> None:
    """No chance is written with more digits than anybody would compare."""
    assert "such a difference at most once in 1,000,000,000 cases." in said(finding(chance=1e-40))


@pytest.mark.parametrize("kind", FindingKind)
@pytest.mark.parametrize("scope", FindingScope)
def test_every_finding_has_a_sentence_and_a_message(kind: FindingKind, scope: FindingScope) -> None:
    """Every kind and scope has words in both languages, and a message holds the whole finding."""
    one = finding(kind, scope, review=Review.DISMISSED, note="a holiday", ended_at=SINCE + 1, usual=True)
    assert all(said(one, language).endswith(".") for language in ("en", "fa"))
    assert finding_from_message(finding_to_message(one)) == one
