"""Findings about flows that differ give the right figures and end at the right time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from services.core.model import Finding, FindingKind, FindingScope
from services.indicator.findings import Detector, DetectorSettings, FlowCounts, find_all
from tests.support.cases.traffic import SETTINGS, START, WEEK, Traffic, small_topology

TOPOLOGY = small_topology()
HOURS = DetectorSettings()
WEEKS = 8
FAULT = 4 * WEEK + 6


def find(counts: FlowCounts) -> list[Finding]:
    return find_all(Detector(TOPOLOGY, SETTINGS), counts)


def step_of(moment: int) -> int:
    return (moment - START) // SETTINGS.step_seconds


def with_batch(left: float, days: range) -> FlowCounts:
    """Eight weeks of hours. The last flow comes at two, one night in ten an hour late, and on ``days`` only in part."""
    rng, hours = np.random.default_rng(5), 8 * 7 * 24
    mean = np.full((16, hours), 50.0)
    mean[-1] = 0.0
    for day in range(hours // 24):
        mean[-1, 24 * day + 2 + (rng.random() < 0.1)] = 1_000.0 * (left if day in days else 1.0)
    counts = Traffic(mean).counts()
    return replace(counts, week_step=np.arange(hours) % 168)


def find_batches(counts: FlowCounts) -> list[Finding]:
    return [one for one in find_all(Detector(TOPOLOGY, HOURS), counts) if one.subject == TOPOLOGY.flows[-1]]


def test_a_wide_finding_tells_of_all_its_flows() -> None:
    """All exchanges of a bus fail 20 points more, though one service failed far less than the others before."""
    usual = 0.1 * np.random.default_rng(3).lognormal(0.0, 0.3, WEEKS * WEEK)
    failed = np.tile(usual, (len(TOPOLOGY.flows), 1))
    failed[:4] = 0.001
    failed[:, FAULT:] += 0.2
    (finding,) = find(Traffic.of(TOPOLOGY, WEEKS).counts(failed=failed))
    assert (finding.kind, finding.scope) == (FindingKind.PROVIDER_FAILURES, FindingScope.BUS)
    assert (finding.flow_count, finding.ended_at) == (len(TOPOLOGY.flows), None)
    assert finding.seen - finding.expected == pytest.approx(0.2, abs=0.03)


def test_a_burst_of_one_flow_ends_no_finding_of_many() -> None:
    """A bus's exchanges fall by half. A burst of its largest flow for three steps does not end the finding."""
    traffic = Traffic.of(TOPOLOGY, WEEKS)
    traffic.mean[:, FAULT:] *= 0.5
    traffic.mean[-1, FAULT + 15 : FAULT + 18] *= 10
    falls = [one for one in find(traffic.counts()) if one.kind is FindingKind.FALL]
    assert [(one.scope, one.ended_at) for one in falls] == [(FindingScope.BUS, None)]


def test_a_burst_does_not_end_the_fall_of_its_own_flow() -> None:
    """A flow that fell by half has five times the usual count for six steps, and then half of it again."""
    traffic = Traffic.of(TOPOLOGY, WEEKS)
    traffic.mean[9, FAULT:] *= 0.5
    traffic.mean[9, FAULT + 15 : FAULT + 21] *= 10
    (finding,) = find(traffic.counts())
    assert (finding.kind, finding.ended_at) == (FindingKind.FALL, None)


def test_a_batch_that_comes_late_ends_no_fall() -> None:
    """The fall of a batch that loses half of its exchanges for good does not end."""
    (finding,) = find_batches(with_batch(0.5, range(40, 100)))
    assert (finding.kind, finding.ended_at) == (FindingKind.FALL, None)


def test_the_silence_of_a_batch_ends_when_it_comes_again() -> None:
    """A batch that is missing for four nights is silent until the night in which it comes again."""
    (finding,) = find_batches(with_batch(0.0, range(40, 44)))
    assert finding.kind is FindingKind.SILENCE
    assert finding.ended_at is not None
    assert abs(step_of(finding.ended_at) - 24 * 44) <= 24


def test_the_silence_of_a_batch_ends_though_the_last_hour_of_days_was_not_read() -> None:
    """On a bus without exchanges from eleven to midnight, the silence ends in the same night."""
    counts = with_batch(0.0, range(40, 44))
    (finding,) = find_batches(replace(counts, read=counts.week_step % 24 != 23))
    assert finding.kind is FindingKind.SILENCE
    assert finding.ended_at is not None
    assert abs(step_of(finding.ended_at) - 24 * 44) <= 24


def test_a_flow_that_can_show_little_is_part_of_a_wide_finding() -> None:
    """All exchanges of a bus fail 20 points more. The finding includes a flow that is too quiet to show it so soon."""
    traffic = Traffic.of(TOPOLOGY, WEEKS)
    traffic.mean[0] *= 0.03
    failed = np.full((len(TOPOLOGY.flows), WEEKS * WEEK), 0.001)
    failed[0] = 0.05
    failed[:, FAULT:] += 0.2
    (finding,) = find(traffic.counts(failed=failed))
    assert finding.flow_count == len(TOPOLOGY.flows)
