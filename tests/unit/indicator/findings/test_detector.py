"""The detector finds changes with their beginning and cause, and a restart changes nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from services.core.model import Finding, FindingKind, FindingScope
from services.indicator.findings import Detector, FlowCounts, find_all
from services.indicator.findings.kinds import SIDE_OF_TEST
from tests.support.cases.traffic import SETTINGS, START, WEEK, Traffic, small_topology

TOPOLOGY = small_topology()
WEEKS = 6
FAULT = 4 * WEEK + 6
STEPS = WEEKS * WEEK


def find(counts: FlowCounts) -> list[Finding]:
    return find_all(Detector(TOPOLOGY, SETTINGS), counts)


def steps_from_start(moment: int) -> int:
    return (moment - START) // SETTINGS.step_seconds


def test_nothing_is_found_where_nothing_is_wrong() -> None:
    """Twenty records of pure chance give no finding. The budget would allow one in five of them."""
    traffic = Traffic.of(TOPOLOGY, WEEKS)
    assert [one for seed in range(20) for one in find(traffic.counts(seed))] == []


def test_a_flow_that_stops_is_silent_from_that_step_on() -> None:
    """A flow that stops gives one open finding, found in the step of the stop."""
    traffic = Traffic.of(TOPOLOGY, WEEKS)
    traffic.mean[5, FAULT:] = 0.0
    (finding,) = find(traffic.counts())
    assert (finding.kind, finding.scope, finding.subject) == (
        FindingKind.SILENCE,
        FindingScope.FLOW,
        TOPOLOGY.flows[5],
    )
    assert steps_from_start(finding.since) == FAULT
    assert steps_from_start(finding.found_at) == FAULT + 1
    assert finding.ended_at is None
    assert finding.seen == 0
    assert finding.expected_low < finding.expected < finding.expected_high
    assert finding.chance < 1e-6


def test_a_finding_ends_when_traffic_is_as_usual_again() -> None:
    """A stop of a day ends with the first step of traffic, and nothing else is found."""
    traffic = Traffic.of(TOPOLOGY, WEEKS)
    traffic.mean[5, FAULT : FAULT + 4] = 0.0
    (finding,) = find(traffic.counts())
    assert finding.ended_at is not None
    assert steps_from_start(finding.ended_at) == FAULT + 4
    assert not finding.usual


@pytest.mark.parametrize(
    ("of", "subject", "scope"),
    [
        (TOPOLOGY.service, "bus s1", FindingScope.SERVICE),
        (TOPOLOGY.provider, "p0", FindingScope.PROVIDER),
        (TOPOLOGY.consumer, "c2", FindingScope.CONSUMER),
        (TOPOLOGY.bus, "bus", FindingScope.BUS),
    ],
)
@pytest.mark.parametrize("left", [0.0, 0.5])
def test_what_departs_together_is_one_finding(
    of: tuple[str, ...], subject: str, scope: FindingScope, left: float
) -> None:
    """Flows of one service, provider, consumer or bus that stop or fall by half are one finding about it."""
    traffic = Traffic.of(TOPOLOGY, WEEKS)
    concerned = np.array(of) == subject
    traffic.mean[concerned, FAULT:] *= left
    (finding,) = find(traffic.counts())
    assert (finding.scope, finding.subject, finding.flow_count) == (scope, subject, concerned.sum())
    assert finding.kind is (FindingKind.FALL if left else FindingKind.SILENCE)
    assert abs(steps_from_start(finding.since) - FAULT) <= 1


def test_failures_are_found_with_their_share() -> None:
    """Twenty points more failures by a flow's provider are found, and given as shares."""
    failed = np.full((len(TOPOLOGY.flows), STEPS), 0.01)
    failed[9, FAULT:] += 0.2
    (finding,) = find(Traffic.of(TOPOLOGY, WEEKS).counts(failed=failed))
    assert (finding.kind, finding.subject) == (FindingKind.PROVIDER_FAILURES, TOPOLOGY.flows[9])
    assert finding.seen == pytest.approx(0.21, abs=0.03)
    assert finding.expected == pytest.approx(0.01, abs=0.005)


def test_longer_durations_are_found() -> None:
    """A flow with five times as many slow exchanges is found to be slow."""
    slow = np.ones((len(TOPOLOGY.flows), STEPS))
    slow[9, FAULT:] = 5.0
    (finding,) = find(Traffic.of(TOPOLOGY, WEEKS).counts(slow=slow))
    assert (finding.kind, finding.subject) == (FindingKind.SLOW, TOPOLOGY.flows[9])
    assert finding.seen > finding.expected_high


def test_hours_whose_logs_were_not_read_say_nothing() -> None:
    """A gap of a day is neither a silence nor learned as one."""
    read = np.ones(STEPS, np.bool_)
    read[FAULT : FAULT + 4] = False
    assert find(Traffic.of(TOPOLOGY, WEEKS).counts(read=read)) == []


def test_what_is_left_out_is_not_judged() -> None:
    """A stop of a flow whose steps are left out is not found."""
    traffic = Traffic.of(TOPOLOGY, WEEKS)
    traffic.mean[5, FAULT : FAULT + 8] = 0.0
    counts = traffic.counts()
    left_out = np.zeros(counts.count.shape, np.bool_)
    left_out[5, FAULT : FAULT + 8] = True
    fields = {name: getattr(counts, name) for name in FlowCounts.__slots__}
    assert find(FlowCounts(**{**fields, "left_out": left_out})) == []


def test_a_restart_changes_nothing() -> None:
    """After each step, a new detector that reads the record from its beginning has the findings of the running one."""
    traffic = Traffic.of(TOPOLOGY, WEEKS)
    traffic.mean[5, FAULT : FAULT + 9] = 0.0
    steps = list(traffic.counts().steps(SETTINGS.step_seconds))
    going_on, found = Detector(TOPOLOGY, SETTINGS), dict[str, Finding]()
    for number, step in enumerate(steps, 1):
        going_on.advance(step).apply_to(found)
        if number in range(FAULT - 1, FAULT + 12):
            again, found_again = Detector(TOPOLOGY, SETTINGS), dict[str, Finding]()
            for earlier in steps[:number]:
                again.advance(earlier).apply_to(found_again)
            assert found_again == found
    assert found


def test_a_quiet_flow_says_how_long_its_silence_takes() -> None:
    """There is no figure before a flow is judged. Then a silence takes more days with fewer exchanges a day."""
    detector = Detector(TOPOLOGY, SETTINGS)
    assert detector.quiet(0) is None
    for step in Traffic.of(TOPOLOGY, WEEKS, rate=1.0).counts().steps(SETTINGS.step_seconds):
        detector.advance(step)
    slow, quick = detector.quiet(0), detector.quiet(len(TOPOLOGY.flows) - 1)
    assert slow is not None
    assert quick is not None
    assert slow > 5 * quick > 0


def test_a_flow_of_few_exchanges_that_fails_is_found() -> None:
    """A share of few exchanges is uncertain, but sixty points more failures are still found."""
    traffic = Traffic.of(TOPOLOGY, WEEKS, rate=2.0)
    failed = np.zeros((len(TOPOLOGY.flows), STEPS))
    failed[5, FAULT:] = 0.6
    (finding,) = find(traffic.counts(failed=failed))
    assert (finding.kind, finding.subject) == (FindingKind.PROVIDER_FAILURES, TOPOLOGY.flows[5])
    assert abs(steps_from_start(finding.since) - FAULT) <= 2
    assert finding.seen == pytest.approx(0.6, abs=0.15)


def test_flows_that_are_too_quiet_are_judged_together() -> None:
    """A failing service is found as a service if each of its many flows is called too rarely."""
    topology = small_topology(consumers=12)
    traffic = Traffic(np.full((len(topology.flows), STEPS), 0.5))
    concerned = np.array(topology.service) == "bus s1"
    failed = np.zeros((len(topology.flows), STEPS))
    failed[concerned, FAULT:] = 0.8
    (finding,) = find_all(Detector(topology, SETTINGS), traffic.counts(seed=2, failed=failed))
    assert (finding.kind, finding.subject) == (FindingKind.PROVIDER_FAILURES, "bus s1")
    assert finding.seen == pytest.approx(0.8, abs=0.1)


def test_what_is_not_known_is_no_departure() -> None:
    """Sizes, durations and repeats that become known, as after an upgrade, are learned for two weeks before they are
    judged, whatever their hours are like. Unknown values are neither small nor quick.
    """
    counts = Traffic.of(TOPOLOGY, 10).counts(seed=3)
    assert counts.durations is not None
    assert counts.size is not None
    unknown = np.arange(counts.count.shape[1]) < 5 * WEEK
    busy = counts.count[:, :, None] > counts.count.mean(axis=1)[:, None, None]
    late = np.where(busy, counts.count[:, :, None] // 2, counts.durations[:, :, 1:])
    durations = np.concatenate([counts.count[:, :, None] - late, late], axis=2)
    changed = replace(
        counts,
        durations=np.where(unknown[:, None], 0, durations),
        size=np.where(unknown, np.nan, counts.size),
        repeats=np.where(unknown, np.nan, counts.count // 10),
    )
    assert find(changed) == []
    after = np.arange(counts.count.shape[1]) >= 9 * WEEK
    assert changed.size is not None
    for size, repeats, kind in (
        (changed.size * np.where(after, 3, 1), changed.repeats, FindingKind.SIZE),
        (changed.size, changed.repeats + after * (counts.count // 5), FindingKind.REPEATS),
    ):
        (finding,) = find(replace(changed, size=size, repeats=repeats))
        assert (finding.kind, finding.scope) == (kind, FindingScope.BUS)


def test_what_fails_is_told_once() -> None:
    """Failures that are short and small give a finding about failures, and none about durations or sizes."""
    failed = np.full((len(TOPOLOGY.flows), STEPS), 0.01)
    failed[9, FAULT:] = 0.8
    counts = Traffic.of(TOPOLOGY, WEEKS).counts(failed=failed)
    small = replace(counts, size=1_000 * (counts.count - counts.provider_failures))
    (finding,) = find(small)
    assert finding.kind is FindingKind.PROVIDER_FAILURES


def test_a_fall_that_is_about_to_end_is_not_what_is_usual() -> None:
    """A quiet flow that recovers after nearly four weeks had a fall until then, and has no rise."""
    traffic = Traffic.of(TOPOLOGY, 12, rate=4.0)
    over = FAULT + 4 * WEEK - 4
    traffic.mean[5, FAULT:over] *= 0.1
    (finding,) = find(traffic.counts())
    assert finding.kind is FindingKind.FALL
    assert finding.ended_at is not None
    assert abs(steps_from_start(finding.ended_at) - over) <= 3


def test_two_causes_of_one_step_have_counts_of_their_own() -> None:
    """Calls of a consumer and calls to a service begin to fail at once. Each finding has the share of its own calls."""
    failed = np.full((len(TOPOLOGY.flows), STEPS), 0.01)
    concerned = (np.array(TOPOLOGY.consumer) == "c1") | (np.array(TOPOLOGY.service) == "bus s1")
    failed[concerned, FAULT:] = 0.5
    found = find(Traffic.of(TOPOLOGY, WEEKS).counts(failed=failed))
    assert {one.subject for one in found} == {"c1", "bus s1"}
    assert all(one.seen == pytest.approx(0.5, abs=0.1) and 0 < one.expected < 0.02 for one in found)


def test_a_finding_takes_the_evidence_of_the_other_side() -> None:
    """A flow is silent while a sum with it rises. The finding about the flow leaves no second one about the sum."""
    detector, service = Detector(TOPOLOGY, SETTINGS), TOPOLOGY.service[5]
    traffic = Traffic.of(TOPOLOGY, WEEKS)
    traffic.mean[5, -1] = 0.0
    *learned, step = traffic.counts().steps(SETTINGS.step_seconds)
    for one in learned:
        detector.advance(one)
    evidence, rows = detector.streams.evidence, detector.rows
    row = next(at for at, subject in enumerate(rows.subject) if subject == service)
    fall, rise = (np.flatnonzero(side == SIDE_OF_TEST)[0] for side in (0, 1))
    evidence.banked[fall, 5], evidence.seen[fall, 5], evidence.expected[fall, 5] = 50.0, 0.0, 50.0
    evidence.banked[rise, row], evidence.seen[rise, row], evidence.expected[rise, row] = 50.0, 4_000.0, 1_500.0
    (finding,) = detector.advance(step).opened
    assert (finding.kind, finding.subject) == (FindingKind.SILENCE, TOPOLOGY.flows[5])


def test_what_began_earlier_is_no_vote_for_a_cause() -> None:
    """A service stops while ten other flows have been a bit low for two weeks. The service is charged, not its bus."""
    traffic = Traffic.of(TOPOLOGY, WEEKS)
    traffic.mean[:4, -1] = 0.0
    *learned, step = traffic.counts().steps(SETTINGS.step_seconds)
    detector = Detector(TOPOLOGY, SETTINGS)
    for one in learned:
        detector.advance(one)
    mild, evidence = np.flatnonzero(SIDE_OF_TEST == 0)[-1], detector.streams.evidence
    evidence.banked[mild, 4:14], evidence.begun[mild, 4:14] = 6.0, STEPS - 2 * WEEK
    evidence.seen[mild, 4:14], evidence.expected[mild, 4:14] = 900.0, 1_000.0
    (finding,) = detector.advance(step).opened
    assert (finding.kind, finding.scope, finding.flow_count) == (FindingKind.SILENCE, FindingScope.SERVICE, 4)
