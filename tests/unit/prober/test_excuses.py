"""Excuses say whether a verdict is our own fault, each alone and in their order."""

from __future__ import annotations

from dataclasses import replace

import pytest

from services.core.model.measurement import Phases
from services.core.model.outcome import Outcome, Reason
from services.prober.checks.judgement import Judgement, judge
from services.prober.excuses import EXCUSES, Circumstances, LoopStalls, excused
from services.prober.expected.expectations import Expectations
from services.prober.observation import Cause, Failure, Observation, Phase, StepFacts

GOOD = Observation(time=1000.0, duration=0.2, latency=0.1, status=200, body=b"{}")


def after_stall(reason: Reason, seen: Observation, stalled: float) -> Reason:
    """Return the reason after excuses if the loop stood still for this many seconds of the probe."""
    return excused(Judgement(reason), seen, Circumstances(limit=0.3, stalled=stalled)).reason


def test_a_stall_of_ours_is_no_lateness_of_the_target() -> None:
    """Lateness that a stall of the prober explains is UNKNOWN/PROBER_ERROR. Other lateness stays."""
    late = replace(GOOD, latency=0.5, duration=0.6, phases=Phases())
    assert after_stall(Reason.LATE, late, 0.25) is Reason.PROBER_ERROR
    assert after_stall(Reason.LATE, late, 0.1) is Reason.LATE
    assert after_stall(Reason.LATE, late, 0.0) is Reason.LATE
    timeout = replace(GOOD, latency=None, duration=5.0, failure=Failure(Phase.PROCESSING, Cause.TIMEOUT))
    assert after_stall(Reason.ANSWER_TIMEOUT, timeout, 0.6) is Reason.PROBER_ERROR
    assert after_stall(Reason.ANSWER_TIMEOUT, timeout, 0.4) is Reason.ANSWER_TIMEOUT
    assert after_stall(Reason.STATUS, replace(GOOD, duration=5.0), 4.0) is Reason.STATUS


def test_a_stall_by_its_own_bytes_excuses_no_target() -> None:
    """The loop's time for a target's own bytes excuses neither lateness nor silence. A stall beyond that does."""
    late = replace(GOOD, latency=0.5, duration=0.6)
    assert after_stall(Reason.LATE, replace(late, busy=0.25), 0.25) is Reason.LATE
    assert after_stall(Reason.LATE, replace(late, busy=0.25), 0.5) is Reason.PROBER_ERROR
    timeout = replace(GOOD, latency=None, duration=5.0, failure=Failure(Phase.PROCESSING, Cause.TIMEOUT))
    assert after_stall(Reason.ANSWER_TIMEOUT, replace(timeout, busy=4.0), 4.0) is Reason.ANSWER_TIMEOUT
    assert after_stall(Reason.ANSWER_TIMEOUT, replace(timeout, busy=4.0), 4.6) is Reason.PROBER_ERROR


@pytest.mark.parametrize(("cause", "reason"), [(Cause.LINE_TIMEOUT, Reason.PROBER_ERROR), (Cause.LINE, Reason.LINE)])
def test_a_stall_of_ours_is_no_missing_line_of_the_target(cause: Cause, reason: Reason) -> None:
    """A line missing at the deadline may be due to a stall, also in a journey. A closed connection is not."""
    talk = replace(GOOD, latency=None, status=0, duration=5.0, failure=Failure(Phase.PROCESSING, cause))
    journey = replace(GOOD, duration=5.0, steps=(StepFacts("first", GOOD), StepFacts("talk", talk)))
    expected = Expectations(steps=(Expectations(), Expectations()))
    for seen in (talk, journey):
        judgement = judge(seen, expected)
        assert judgement.reason is Reason.LINE
        assert after_stall(judgement.reason, seen, 0.6) is reason
        assert after_stall(judgement.reason, seen, 0.4) is Reason.LINE


@pytest.mark.parametrize(("cause", "reason"), [(Cause.LINE_TIMEOUT, Reason.RESOLVER_FAILED), (Cause.LINE, Reason.LINE)])
def test_slow_resolution_is_no_wrong_line_of_the_target(cause: Cause, reason: Reason) -> None:
    """A line missing at the deadline may be due to a resolver that fails. A line that does not match is not."""
    talk = replace(GOOD, duration=5.0, phases=Phases(resolve=0.6), failure=Failure(Phase.PROCESSING, cause))
    assert excused(Judgement(Reason.LINE), talk, Circumstances(unresolved=True)).reason is reason


def test_a_token_that_took_long_is_no_silence_of_the_target() -> None:
    """A timeout is our credential's if over a tenth of the time went to a token. An answer is never excused by it."""
    hung = replace(GOOD, latency=None, duration=1.0, failure=Failure(Phase.PROCESSING, Cause.TIMEOUT))
    timeout = judge(hung, Expectations())
    assert timeout.reason is Reason.ANSWER_TIMEOUT
    assert excused(timeout, replace(hung, awaited=0.12), Circumstances()).reason is Reason.OWN_CREDENTIAL
    assert excused(timeout, replace(hung, awaited=0.1), Circumstances()).reason is Reason.ANSWER_TIMEOUT
    answered = Judgement(Reason.STATUS)
    assert excused(answered, replace(GOOD, awaited=5.0), Circumstances()) is answered


def test_blindness_keeps_other_reasons_of_unknown() -> None:
    """Even OK becomes UNKNOWN/VANTAGE_BLIND, but an UNKNOWN keeps its own reason."""
    blind = excused(Judgement(Reason.OK), GOOD, Circumstances(blind=True))
    assert (blind.outcome, blind.reason) == (Outcome.UNKNOWN, Reason.VANTAGE_BLIND)
    shed = Judgement(Reason.SHED)
    assert excused(shed, GOOD, Circumstances(blind=True)) is shed


def test_the_first_excuse_that_applies_gives_the_reason() -> None:
    """The first excuse in the list that applies decides. Only an overrun and a blind vantage excuse an OK."""
    failure = Failure(Phase.CONNECT, Cause.TIMEOUT)
    hung = replace(GOOD, duration=1.0, awaited=1.0, phases=Phases(resolve=0.5), failure=failure)
    ours = Circumstances(stalled=1.0, conntrack_full=True, overran=True, blind=True, unresolved=True)
    timeout, reasons = judge(hung, Expectations()), []
    for observation, changed in (
        (hung, {}),
        (hung, {"overran": False}),
        (replace(hung, awaited=0.0), {}),
        (replace(hung, awaited=0.0), {"conntrack_full": False}),
        (replace(hung, awaited=0.0), {"stalled": 0.0}),
        (replace(hung, awaited=0.0), {"unresolved": False}),
        (replace(hung, awaited=0.0), {"blind": False}),
    ):
        ours = replace(ours, **changed)
        reasons.append(excused(timeout, observation, ours).reason)
    assert reasons == [*EXCUSES, Reason.CONNECT_TIMEOUT]
    ok = Judgement(Reason.OK)
    assert excused(ok, replace(GOOD, awaited=5.0), Circumstances(stalled=1.0, conntrack_full=True)) is ok


def test_late_ticks_make_a_stall() -> None:
    """Late ticks make a stall. It counts as far as it overlaps a probe, even while it lasts."""
    stalls = LoopStalls(remembered=10.0)
    for now in (0.0, 0.05, 0.1, 1.1, 1.15):
        stalls.tick(now)
    assert stalls.seconds(0.0, 2.0) == pytest.approx(0.95 + 0.8, abs=0.01)
    assert stalls.seconds(0.5, 1.15) == pytest.approx(0.6)
    assert stalls.seconds(1.1, 1.2) == 0


def test_nothing_stalls_while_no_ticks_are_expected() -> None:
    """A loop with nothing to do need not run, so its rest is no stall, neither then nor afterwards."""
    stalls = LoopStalls(remembered=10.0)
    stalls.tick(0.0)
    stalls.rest()
    assert stalls.seconds(0.0, 3.0) == 0
    stalls.tick(3.0)
    assert stalls.seconds(0.0, 3.05) == 0
    stalls.tick(4.0)
    assert stalls.seconds(0.0, 4.0) == pytest.approx(0.95)
