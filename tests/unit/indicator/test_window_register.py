"""A changed register applies to the whole window."""

from __future__ import annotations

from datetime import timedelta
from fractions import Fraction

import numpy as np

from services.core.model.indicator import IndicatorKind
from services.core.model.outcome import Outcome, Reason
from services.indicator.cells import DayState
from tests.support.cases.api.indicator_answers import (
    assert_same,
    indicator_of,
    measured,
    snapshot,
    truth_of,
)
from tests.support.cases.registers.window import FIRST, MONDAY, a_case, a_link, arrays_of, new_evidence, row, take


def counts(case, evidence, link):
    found = evidence.window(arrays_of(case), 7, case.end_slot)
    return found.counts[:, arrays_of(case).links.index(link)].tolist()


def test_a_register_that_arrives_later_finds_the_evidence():
    """Measurements of a link that no register knows yet count as soon as one does, even from closed slots."""
    before, after = a_case(a_link("l")), a_case(a_link("l"), a_link("m"))
    evidence = new_evidence(before)
    take(evidence, [row("l", 0, 5), row("m", 0, 5), row("m", 30, 3)])
    list(evidence.closing(FIRST + 24))
    assert counts(before, evidence, "l") == [0, 0, 0, 0, 0, 1]
    assert counts(after, evidence, "m") == [0, 0, 0, 1, 0, 1]


def test_only_the_vantages_of_a_link_count_for_it():
    """A link that names its vantages is judged by them alone, even if the register names them later."""
    everyone, south = a_case(a_link("l")), a_case(a_link("l", vantages=("south",)))
    evidence = new_evidence(everyone)
    take(evidence, [row("l", 0, 0), row("l", 0, 5, "south"), row("l", 1, 0)])
    assert counts(everyone, evidence, "l") == [2, 0, 0, 0, 0, 0]
    assert counts(south, evidence, "l") == [0, 0, 0, 0, 0, 1]


def test_a_changed_register_applies_to_the_whole_window():
    """Dates of a new register apply to closed and open days alike, as if it had been in force from the start."""
    before = a_case(a_link("l"), a_link("m"))
    rows = [row(link, hour, hour % 6) for hour in range(48) for link in ("l", "m")]
    evidence = new_evidence(before)
    take(evidence, rows)
    list(evidence.closing(FIRST + 30))
    for changes in (
        {"live_from": MONDAY + timedelta(days=1)},
        {"live_from": None},
        {"required_until": MONDAY + timedelta(days=1)},
        {"weight": 3},
    ):
        after = a_case(a_link("l"), a_link("m", **changes))
        after.measurements = rows
        found = measured(snapshot(after, evidence, arrays_of(after)))
        assert_same(found, truth_of(after))


def test_a_link_that_joins_a_service_counts_in_closed_days_too():
    """E of closed days covers the links in force by the current register, whenever the days were closed."""
    before, after = a_case(a_link("l")), a_case(a_link("l"), a_link("m"))
    after.measurements = [row("l", hour, 5) for hour in range(48)] + [row("m", hour, 3) for hour in range(0, 48, 5)]
    evidence = new_evidence(before)
    take(evidence, after.measurements)
    list(evidence.closing(FIRST + 24))
    calm = indicator_of(snapshot(before, evidence), IndicatorKind.SERVICE, "s").strict
    assert calm is not None
    assert calm.lower == 1.0
    strict = indicator_of(snapshot(after, evidence), IndicatorKind.SERVICE, "s").strict
    assert strict is not None
    assert (strict.lower, strict.upper) == (0.0, 38 / 48)
    assert_same(measured(snapshot(after, evidence)), truth_of(after))


def test_a_frame_that_judges_alike_counts_nothing_anew(monkeypatch):
    """A register with other weights and thresholds reuses all counts. One with other dates does not."""
    case = a_case(a_link("l"), hours=72)
    evidence = new_evidence(case)
    take(evidence, [row("l", hour, 5) for hour in range(72)])
    list(evidence.closing(FIRST + 50))
    evidence.window(arrays_of(case), 7, case.end_slot)
    unpacked = []
    real = DayState.pieces

    def counted(state):
        unpacked.append(state.day)
        return real(state)

    monkeypatch.setattr(DayState, "pieces", counted)
    weighed = a_case(a_link("l", weight=7), hours=72)
    weighed.register["threshold"] = Fraction(1, 2)
    assert evidence.window(arrays_of(weighed), 7, case.end_slot).counts[5].tolist() == [72]
    assert unpacked == []
    dated = a_case(a_link("l", live_from=MONDAY + timedelta(days=1)), hours=72)
    assert evidence.window(arrays_of(dated), 7, case.end_slot).counts[:, 0].tolist() == [24, 0, 0, 0, 0, 48]
    assert unpacked == [MONDAY, MONDAY + timedelta(days=1)]


def test_detail_shows_every_vantage_and_the_verdict():
    """Each slot has the verdict by the register's dates, each vantage's outcome and reason, and gaps as such."""
    case = a_case(
        a_link("l"),
        a_link("paper", live_from=None),
        a_link("past", required_until=MONDAY + timedelta(days=1)),
    )
    evidence, arrays = new_evidence(case), arrays_of(case)
    take(evidence, [row("l", 23, 5), row("l", 23, 2, "south"), row("past", 23, 5), row("paper", 23, 5)])
    take(evidence, [row("past", 24, 5)])
    detail = evidence.detail(arrays, range(FIRST + 23, FIRST + 25), np.arange(3))
    assert detail.first_slot == FIRST + 23
    assert detail.vantages == ("north", "south")
    assert detail.verdict.tolist() == [
        [Outcome.INVALID, Outcome.NOT_CONNECTED, Outcome.OK],
        [Outcome.UNKNOWN, Outcome.NOT_CONNECTED, 0],
    ]
    assert detail.outcome[0, 0].tolist() == [Outcome.OK, Outcome.INVALID]
    assert detail.reason[0, 0].tolist() == [Reason.OK, Reason.BODY]
    assert detail.outcome[1, 0].tolist() == [Outcome.UNKNOWN, Outcome.UNKNOWN]
    assert detail.reason[1, 0].tolist() == [Reason.NO_MEASUREMENT, Reason.NO_MEASUREMENT]
    assert detail.outcome[1, 2].tolist() == [Outcome.OK, Outcome.UNKNOWN]
    assert evidence.detail(arrays, range(FIRST - 1, FIRST)).verdict.tolist() == [[0, 0, 0]]
    assert {array.dtype for array in (detail.verdict, detail.outcome, detail.reason)} == {np.dtype(np.uint8)}
