"""An open finding states what was seen and expected since it began."""

from __future__ import annotations

import numpy as np
import pytest

from services.indicator.findings import DetectorSettings
from services.indicator.findings.open_findings import OpenFinding
from services.indicator.findings.rows import Rows
from tests.support.cases.traffic import START, small_topology

ROWS = Rows.of(small_topology())
HOURS = DetectorSettings()


def a_fall(*, day_variance: float = 0.0) -> OpenFinding:
    """Return a finding about one flow, before its first step."""
    return OpenFinding(
        side=0,
        row=0,
        flows=[0],
        since=0,
        since_time=START,
        found_at=START,
        seen=0.0,
        expected=0.0,
        variance=0.0,
        day_variance=day_variance,
        chance=1e-9,
        base=0.0,
        measured=[0.0, 0.0],
        of_flows=np.zeros((2, 1)),
        today=np.zeros((2, 1)),
        day=0,
        made=0,
    )


def test_a_finding_counts_what_was_seen_while_it_seemed_to_end() -> None:
    """A flow with one exchange a day instead of six keeps those in its counts, so it is not called silent."""
    finding = a_fall()
    for step in range(28 * 24):
        of_flows, base = np.array([[float(step % 24 == 12)], [0.25]]), np.array([2.0])
        finding.add(of_flows, base, 0.5)
        assert not finding.ends(of_flows, np.array([0.5]), base, step)
    assert (finding.seen, finding.expected, finding.variance, finding.base) == (28.0, 168.0, 336.0, 1344.0)
    assert finding.may_become_usual
    assert finding.usual_from(7 * 24) == 28 * 24
    finding.made = 40 * 24
    assert finding.usual_from(7 * 24) == 47 * 24


def test_the_range_of_what_is_expected_narrows_with_the_days() -> None:
    """Days differ by a fifth, each by itself. Sixteen of them together stray by a twentieth."""
    finding = a_fall(day_variance=0.04)
    finding.base = 1.0
    for step in range(16 * 24):
        of_flows = np.array([[40.0], [100.0]])
        finding.add(of_flows, np.zeros(1), 0.0)
        finding.ends(of_flows, np.ones(1), np.zeros(1), step)
    told = finding.finding(ROWS, np.zeros(ROWS.flows), HOURS, None)
    assert told.expected == 16 * 24 * 100
    assert told.expected_high - told.expected == pytest.approx(1.96 * 0.05 * told.expected)
