"""The detector learns long-lasting changes and the traffic of holidays as usual."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from services.core.model import Finding, FindingKind
from services.indicator.findings import Detector, FlowCounts, find_all
from tests.support.cases.traffic import SETTINGS, START, WEEK, Traffic, small_topology

TOPOLOGY = small_topology()
DAY = WEEK // 7
FAULT = 4 * WEEK + 6


def find(counts: FlowCounts) -> list[Finding]:
    return find_all(Detector(TOPOLOGY, SETTINGS), counts)


def step_of(moment: int) -> int:
    return (moment - START) // SETTINGS.step_seconds


def test_durations_that_stay_long_are_found_once() -> None:
    """A flow that gets slow for good is a finding for four weeks, and then counts as usual."""
    counts = Traffic.of(TOPOLOGY, 16).counts()
    parts = np.array([0.02, 0.05, 0.1, 0.2, 0.25, 0.2, 0.1, 0.05, 0.03, 0.0, 0.0])
    durations = np.random.default_rng(2).multinomial(counts.count, parts)
    durations[9, FAULT:] = np.roll(durations[9, FAULT:], 2, axis=1)
    settings = replace(SETTINGS, duration_bounds=tuple(2.0**bucket for bucket in range(10)))
    (finding,) = find_all(Detector(TOPOLOGY, settings), replace(counts, durations=durations))
    assert finding.kind is FindingKind.SLOW
    assert finding.ended_at is not None
    assert finding.usual


def test_failures_that_stay_are_found_once_where_nothing_failed_before() -> None:
    """A fifth of a flow's calls fails for good, though no call of anybody failed. After four weeks this is usual."""
    failed = np.zeros((len(TOPOLOGY.flows), 10 * WEEK))
    failed[9, FAULT:] = 0.2
    (finding,) = find(Traffic.of(TOPOLOGY, 10).counts(failed=failed))
    assert finding.kind is FindingKind.PROVIDER_FAILURES
    assert finding.usual


def test_each_flow_of_a_finding_has_a_usual_of_its_own() -> None:
    """A service's calls fall, and its small clients soon recover to half. Once this is usual, it is no rise."""
    traffic = Traffic.of(TOPOLOGY, 20)
    traffic.mean[12:15] *= 0.05
    traffic.mean[12:16, FAULT : FAULT + 2] *= 0.05
    traffic.mean[12:15, FAULT + 2 :] *= 0.5
    traffic.mean[15, FAULT + 2 :] *= 0.05
    (finding,) = find(traffic.counts())
    assert finding.flow_count > 1
    assert finding.usual


def _with_holidays(factors: dict[tuple[int, int], float]) -> FlowCounts:
    """Traffic in which days of a kind, by week and day, keep this share of their exchanges."""
    traffic, kind = Traffic.of(TOPOLOGY, 20), np.zeros(20 * WEEK, np.int64)
    for (week, day), left in factors.items():
        first = week * WEEK + day * DAY
        traffic.mean[:, first : first + DAY] *= left
        kind[first : first + DAY] = 1
    return replace(traffic.counts(), kind=kind)


def test_holidays_on_days_of_rest_tell_little() -> None:
    """Two holidays on days of rest change nothing. Later ones with a tenth of the traffic are no findings."""
    rest = {(6, 6): 1.0, (7, 6): 1.0}
    assert find(_with_holidays(rest | {(week, 1 + week % 4): 0.1 for week in (9, 11, 13, 15, 17)})) == []


def test_what_holidays_are_like_is_learned_from_their_findings() -> None:
    """Once holidays are no longer busy, the first ones are falls, and the later ones are usual."""
    busy = {(week, day): 1.0 for week in (5, 6, 7) for day in (1, 3)}
    found = find(_with_holidays(busy | {(week, 2): 0.1 for week in range(8, 20)}))
    assert {step_of(one.since) // WEEK for one in found} >= {8}
    assert max(step_of(one.since) // WEEK for one in found) < 15
