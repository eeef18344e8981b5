"""Judging: from an observation to outcome, reason and detail. Pure, and never raises (docs/probing.md §2).

The lowest stage wins: a failed connection comes before a missing answer, that before wrong content, that before lateness,
that before staleness. Within a stage the order of CHECKS decides the reason. A check passes if the kind of probe does not
have the fact, or if nothing is expected of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from services.core.model import Outcome, Reason, unfrozen
from services.prober.checks.document import CheckFailedError, document_of
from services.prober.checks.failures import check_whole
from services.prober.checks.freshness import age_of, check_time
from services.prober.checks.registry import CHECKS, Check
from services.prober.expected import Expectations
from services.prober.observation import Observation

DETAIL_LENGTH = 200
"""A detail is cut to this many characters."""


@unfrozen
class Judgement:
    """What one observation means. ``data_age`` in seconds, None when the answer does not state it."""

    reason: Reason
    detail: str = ""
    data_age: float | None = None

    @property
    def outcome(self) -> Outcome:
        """The outcome the reason belongs to."""
        return self.reason.outcome


def judge(observation: Observation, expectations: Expectations, checks: Sequence[Check] = CHECKS) -> Judgement:
    """Return what an observation means for the target. A check that crashes is INVALID/CHECK_ERROR, never a pass.

    ``checks`` may be only those ``needed`` under the expectations.
    """
    try:
        if observation.steps:
            return _judge_steps(observation, expectations)
        return _judge(observation, expectations, checks)
    except Exception as error:  # noqa: BLE001 - the border: whatever goes wrong in a check is a failed check
        return Judgement(Reason.CHECK_ERROR, f"a check failed to run: {type(error).__name__}")


def _judge_steps(journey: Observation, expectations: Expectations) -> Judgement:
    """Judge a journey: by its first step that fails, then by its time and its oldest data."""
    oldest: float | None = None
    for step, expected in zip(journey.steps, expectations.steps, strict=True):
        judgement = judge(step.observation, replace(expected, zone=expectations.zone))
        if judgement.reason is not Reason.OK:
            return replace(judgement, detail=f"step {step.name}: {judgement.detail}"[:DETAIL_LENGTH])
        if judgement.data_age is not None:
            oldest = max(judgement.data_age, oldest or 0.0)
    try:
        check_whole(journey, expectations, document_of(journey))
        check_time(journey, expectations, oldest)
    except CheckFailedError as failed:
        return Judgement(failed.reason, failed.detail[:DETAIL_LENGTH], oldest)
    return Judgement(Reason.OK, "", oldest)


def _judge(observation: Observation, expectations: Expectations, checks: Sequence[Check]) -> Judgement:
    age: float | None = None
    document = document_of(observation)
    try:
        for check in checks:
            check.run(observation, expectations, document)
        age = age_of(observation, document, expectations)
        check_time(observation, expectations, age)
    except CheckFailedError as failed:
        return Judgement(failed.reason, failed.detail[:DETAIL_LENGTH], age)
    return Judgement(Reason.OK, "", age)
