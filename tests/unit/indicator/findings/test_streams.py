"""Each count is evidence once, and days that were not read change nothing."""

from __future__ import annotations

import numpy as np

from services.core.model import FindingKind
from services.indicator.findings import Detector, find_all
from services.indicator.findings.kinds import FACTOR
from tests.support.cases.traffic import SETTINGS, START, WEEK, Traffic, small_topology

TOPOLOGY = small_topology()
WEEKS = 4


def test_a_day_on_which_a_row_begins_to_stray_counts_once() -> None:
    """A row that begins to stray at noon is judged by hours to the end of the day, and by whole days from then on."""
    traffic = Traffic.of(TOPOLOGY, WEEKS)
    counts = traffic.counts()
    today = slice(WEEKS * WEEK - 8, WEEKS * WEEK - 4)
    counts.count[0, today] = 0.88 * traffic.mean[0, today]
    steps = list(counts.steps(SETTINGS.step_seconds))
    detector = Detector(TOPOLOGY, SETTINGS)
    for step in steps[: today.start]:
        detector.advance(step)
    evidence, dispersion = detector.streams.evidence, detector.streams.dispersion
    fall = int(np.flatnonzero(FACTOR == 0.8)[0])
    evidence.banked[fall, 0], evidence.seen[fall, 0] = 8.0, 0.0
    for step in steps[today.start : today.start + 2]:
        detector.advance(step)
    dispersion.steps[0, :, 0] = 20.0 * dispersion.steps[1, :, 0]
    for step in steps[today.start + 2 : today.stop + 1]:
        detector.advance(step)
    assert evidence.seen[fall, 0] == counts.count[0, today].sum()


def test_a_flow_is_judged_after_three_weeks_of_office_hours() -> None:
    """On a bus that is read in half of the hours, a flow that stops in the fourth week is found."""
    weeks, stop = 5, 3 * WEEK + 1
    traffic = Traffic(np.full((len(TOPOLOGY.flows), weeks * WEEK), 50.0))
    traffic.mean[5, stop:] = 0.0
    (finding,) = find_all(Detector(TOPOLOGY, SETTINGS), traffic.counts(read=np.arange(weeks * WEEK) % 2 > 0))
    assert (finding.kind, finding.subject) == (FindingKind.SILENCE, TOPOLOGY.flows[5])
    assert abs(finding.since - START - stop * SETTINGS.step_seconds) <= SETTINGS.step_seconds


def test_days_that_were_not_read_keep_the_evidence_before_them() -> None:
    """A quiet flow that stops is found after more than a week, though nothing is exchanged on the last day of weeks."""
    weeks, stop = 12, 6 * WEEK
    traffic = Traffic(np.full((len(TOPOLOGY.flows), weeks * WEEK), 50.0))
    traffic.mean[5], traffic.mean[5, stop:] = 0.2, 0.0
    counts = traffic.counts(read=np.arange(weeks * WEEK) % WEEK < 24)
    (finding,) = find_all(Detector(TOPOLOGY, SETTINGS), counts)
    assert (finding.kind, finding.subject) == (FindingKind.SILENCE, TOPOLOGY.flows[5])
    assert finding.since < counts.start + (stop + 4) * SETTINGS.step_seconds
