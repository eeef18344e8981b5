"""Every check of one observation with its verdict, for `peyvand probe`: the checks of judging, in the same order. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from enum import Enum
from typing import ParamSpec

from services.core.model import Reason
from services.prober.checks.document import CheckFailedError, document_of
from services.prober.checks.failures import check_whole
from services.prober.checks.freshness import age_of, check_time
from services.prober.checks.judgement import judge
from services.prober.checks.registry import CHECKS
from services.prober.checks.wording import seen, single_items
from services.prober.expected import Expectations
from services.prober.observation import Observation

P = ParamSpec("P")


class Verdict(Enum):
    """The result of one check; NOT_JUDGED when there was nothing to check."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_JUDGED = "not judged"


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One check: ``what`` must hold, whether it does, the reason when it does not, and what was seen.

    Neither secrets nor values of bodies, records and headers are part of it.
    """

    what: str
    verdict: Verdict
    reason: Reason | None = None
    detail: str = ""


def explain(observation: Observation, expectations: Expectations) -> tuple[CheckResult, ...]:
    """Return all checks in order; the reason of the first that failed is that of ``judge``. Never raises.

    Each step of a journey is one check; the checks within it are those of its own observation.
    """
    if observation.steps:
        return tuple(_explain_journey(observation, expectations))
    return tuple(_explain_answer(observation, expectations))


def _explain_journey(journey: Observation, expectations: Expectations) -> Iterator[CheckResult]:
    oldest: float | None = None
    judged = True
    for step, expected in zip(journey.steps, expectations.steps, strict=True):
        judgement = judge(step.observation, replace(expected, zone=expectations.zone))
        passed = judgement.reason is Reason.OK
        verdict = Verdict.PASSED if passed else Verdict.FAILED
        yield CheckResult(f"step {step.name}", verdict, None if passed else judgement.reason, judgement.detail)
        judged = judged and passed
        if judgement.data_age is not None:
            oldest = max(judgement.data_age, oldest or 0.0)
    if journey.failure is not None:
        judged = False
        document = document_of(journey)
        yield _run_check("the journey could go on to its end", "", check_whole, journey, expectations, document)
    yield from _explain_time(journey, expectations, oldest, judged=judged)


def _explain_answer(observation: Observation, expectations: Expectations) -> Iterator[CheckResult]:
    document = document_of(observation)
    judged = True
    for check in CHECKS:
        for what, part in single_items(check, observation, expectations):
            result = CheckResult(what, Verdict.NOT_JUDGED)
            if judged:
                result = _run_check(what, seen(check, observation), check.run, observation, part, document)
            failed = result.verdict is Verdict.FAILED
            # Checks that hold unless something breaks are shown only when they fail, except the first.
            if failed or check is CHECKS[0] or check.reads or (judged and check.about):
                yield result
            judged = judged and not (failed and check.decides)
    age: float | None = None
    if expectations.fresh is not None:
        result = CheckResult("the age of the data is stated", Verdict.NOT_JUDGED)
        if judged:
            result = _run_check(result.what, "", age_of, observation, document, expectations)
            if result.verdict is Verdict.PASSED:
                age = age_of(observation, document, expectations)
        yield result
    yield from _explain_time(observation, expectations, age, judged=judged)


def _explain_time(
    observation: Observation, expectations: Expectations, age: float | None, *, judged: bool
) -> Iterator[CheckResult]:
    latency, limit, oldest = observation.latency, expectations.latency, expectations.max_age
    if limit is not None:
        result = CheckResult(f"answered within {limit * 1000:.0f} ms", Verdict.NOT_JUDGED)
        if judged and latency is not None:
            part = replace(expectations, max_age=None)
            result = _run_check(result.what, f"{latency * 1000:.1f} ms", check_time, observation, part, age)
        yield result
    if oldest is not None and (age is not None or expectations.fresh is not None):
        result = CheckResult(f"data no older than {oldest:.0f} s", Verdict.NOT_JUDGED)
        if judged and age is not None:
            part = replace(expectations, latency=None)
            result = _run_check(result.what, f"{age:.0f} s", check_time, observation, part, age)
        yield result


def _run_check(what: str, evidence: str, run: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> CheckResult:
    try:
        run(*args, **kwargs)
    except CheckFailedError as failed:
        return CheckResult(what, Verdict.FAILED, failed.reason, failed.detail)
    except Exception as error:  # noqa: BLE001 - as in judging: whatever goes wrong in a check is a failed check
        detail = f"a check failed to run: {type(error).__name__}"
        return CheckResult(what, Verdict.FAILED, Reason.CHECK_ERROR, detail)
    return CheckResult(what, Verdict.PASSED, None, evidence)
