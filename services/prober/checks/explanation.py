"""Describes every check of one observation in words, with its result, for `peyvand probe`. Pure.

The checks are in the order of judging. Expected values are left out, because params and captured values are among them.
Patterns and paths are shown as written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from enum import Enum
from typing import Any, ParamSpec

from services.core.model import Reason
from services.prober.checks.document import CheckFailedError, document_of
from services.prober.checks.freshness import age_of, check_time
from services.prober.checks.judgement import CHECKS, Check, Judgement, judge
from services.prober.checks.protocols import check_whole, in_ranges
from services.prober.expected import ANYTHING, Expectations, HeaderCheck, JsonCheck, Pattern, Records, XmlCheck
from services.prober.observation import Observation


def single_items(
    check: Check, observation: Observation, expectations: Expectations
) -> Iterator[tuple[str, Expectations]]:
    """Yield each item that a check expects, in words, with the expectations of that item alone.

    Without items, yield what the check requires of every observation that has its fact.
    """
    empty: dict[str, Any] = {
        field.name: type(value)()
        for field in fields(expectations)
        if isinstance(value := getattr(expectations, field.name), tuple | Records)
    }
    without_items = replace(expectations, **empty)
    has_items = False
    for name in check.reads:
        for words, items in _items(check, name, getattr(expectations, name)):
            has_items = True
            single: dict[str, Any] = {name: items}
            yield words, replace(without_items, **single)
    if not has_items and (getattr(observation, check.about) if check.about else not check.reads):
        yield check.words, without_items


def _items(check: Check, name: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, tuple):
        for item in value:
            yield _in_words(name, item), (item,)
    elif isinstance(value, Records):
        section = "answer" if name == "answers" else name
        if value.empty:
            yield f"there is no {section} record", Records(empty=True)
        for pattern in value.every:
            yield f"every {section} record matches {pattern.text}", Records(every=(pattern,))
        for pattern in value.must_not:
            yield f"no {section} record matches {pattern.text}", Records(must_not=(pattern,))
        for pattern in value.must:
            yield f"some {section} record matches {pattern.text}", Records(must=(pattern,))
    elif isinstance(value, frozenset) and value:
        listed = in_ranges(value) if check.title == "status" else ", ".join(sorted(value))
        yield f"{check.title} is one of {listed}" if len(value) > 1 else f"{check.title} is {listed}", value
    elif value:
        yield check.words, value


def _in_words(name: str, item: object) -> str:
    if isinstance(item, HeaderCheck):
        words = [f"matches {item.must.text}"] if item.must else []
        words += [f"does not match {item.must_not.text}"] if item.must_not else []
        return f"header {item.name} {' and '.join(words) or 'is there'}{', if it is there' if item.optional else ''}"
    if isinstance(item, Pattern):
        return f"body {'matches' if name == 'must' else 'does not match'} {item.text}"
    if isinstance(item, JsonCheck | XmlCheck):
        words = [f"is of type {item.type}"] if isinstance(item, JsonCheck) and item.type else []
        any_value = ANYTHING if isinstance(item, JsonCheck) else None
        words += [] if item.equals is any_value else ["is as expected"]
        return f"{'record: ' if name == 'record' else ''}{item.path} {' and '.join(words) or 'is found'}"
    return name


def seen(check: Check, observation: Observation) -> str:
    """Return what was seen, or an empty text if that is secret or personal."""
    if check.title == "status":
        return str(observation.status)
    if check.title == "secure":
        return observation.tls_version
    if check.title == "call" and observation.rpc:
        return " ".join(filter(None, (observation.rpc.code, observation.rpc.serving)))
    return observation.dns.rcode if check.title == "response code" and observation.dns else ""


P = ParamSpec("P")


class CheckState(Enum):
    """The result of one check; NOT_JUDGED when there was nothing to check."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_JUDGED = "not judged"


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The result of one check: ``what`` must hold, whether it holds, the reason if it does not, and what was seen.

    It contains neither secrets nor the values of bodies, records and headers.
    """

    what: str
    state: CheckState
    reason: Reason | None = None
    detail: str = ""


def explain(observation: Observation, expectations: Expectations) -> tuple[CheckResult, ...]:
    """Return the results of all checks in order. The first that failed has the reason that ``judge`` gives.

    Each step of a journey is one check. The checks within a step are those of its own observation. Never raises.
    """
    results = _explain_journey if observation.steps else _explain_answer
    return tuple(results(observation, expectations))


def _explain_journey(journey: Observation, expectations: Expectations) -> Iterator[CheckResult]:
    oldest: float | None = None
    judged = True
    for step, expected in zip(journey.steps, expectations.steps, strict=True):
        judgement = judge(step.observation, replace(expected, zone=expectations.zone))
        yield _judged(f"step {step.name}", judgement)
        judged = judged and judgement.reason is Reason.OK
        if judgement.data_age is not None:
            oldest = max(judgement.data_age, oldest or 0.0)
    if journey.failure is not None:
        judged = False
        what = "the journey could go on to its end"
        yield _run_check(what, "", check_whole, journey, expectations, document_of(journey))
    yield from _explain_time(journey, expectations, oldest, judged=judged)


def _explain_answer(observation: Observation, expectations: Expectations) -> Iterator[CheckResult]:
    if expectations.refused:
        refusal = judge(observation, replace(expectations, latency=None))
        yield _judged("the target refuses us", refusal)
        yield from _explain_time(observation, expectations, None, judged=refusal.reason is Reason.OK)
        return
    document = document_of(observation)
    judged = True
    for check in CHECKS:
        for what, part in single_items(check, observation, expectations):
            result = CheckResult(what, CheckState.NOT_JUDGED)
            if judged:
                result = _run_check(what, seen(check, observation), check.run, observation, part, document)
            failed = result.state is CheckState.FAILED
            # Checks that hold unless something breaks are shown only when they fail, except the first.
            if failed or check is CHECKS[0] or check.reads or (judged and check.about):
                yield result
            judged = judged and not (failed and check.decides)
    age: float | None = None
    if expectations.fresh is not None:
        result = CheckResult("the age of the data is stated", CheckState.NOT_JUDGED)
        if judged:
            result = _run_check(result.what, "", age_of, observation, document, expectations)
            if result.state is CheckState.PASSED:
                age = age_of(observation, document, expectations)
        yield result
    yield from _explain_time(observation, expectations, age, judged=judged)


def _explain_time(
    observation: Observation, expectations: Expectations, age: float | None, *, judged: bool
) -> Iterator[CheckResult]:
    latency, limit, oldest = observation.latency, expectations.latency, expectations.max_age
    if limit is not None:
        result = CheckResult(f"answered within {limit * 1000:.0f} ms", CheckState.NOT_JUDGED)
        if judged and latency is not None:
            part = replace(expectations, max_age=None)
            result = _run_check(result.what, f"{latency * 1000:.1f} ms", check_time, observation, part, age)
        yield result
    if oldest is not None and (age is not None or expectations.fresh is not None):
        result = CheckResult(f"data no older than {oldest:.0f} s", CheckState.NOT_JUDGED)
        if judged and age is not None:
            part = replace(expectations, latency=None)
            result = _run_check(result.what, f"{age:.0f} s", check_time, observation, part, age)
        yield result


def _judged(what: str, judgement: Judgement) -> CheckResult:
    if judgement.reason is Reason.OK:
        return CheckResult(what, CheckState.PASSED, None, judgement.detail)
    return CheckResult(what, CheckState.FAILED, judgement.reason, judgement.detail)


def _run_check(what: str, evidence: str, run: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> CheckResult:
    try:
        run(*args, **kwargs)
    except CheckFailedError as failed:
        return CheckResult(what, CheckState.FAILED, failed.reason, failed.detail)
    except Exception as error:  # noqa: BLE001 - as in judging: a check that raises has failed
        detail = f"a check failed to run: {type(error).__name__}"
        return CheckResult(what, CheckState.FAILED, Reason.CHECK_ERROR, detail)
    return CheckResult(what, CheckState.PASSED, None, evidence)
