"""Describes every check of one observation in words, with its result, for `peyvand probe`. Pure.

The checks are in the order of judging. Expected values are left out, because params and captured values are among them.
Patterns and paths are shown as written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import Any

from services.core.model import Reason
from services.prober.checks.document import CheckFailedError, document_of
from services.prober.checks.freshness import age_of, check_time
from services.prober.checks.judgement import CHECKS, Check, judge
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


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The result of one check: ``what`` must hold. ``reason`` is OK if it holds, None if there was nothing to check.

    ``detail`` says what was seen, or what is wrong. It contains neither secrets nor the values of bodies, records and
    headers.
    """

    what: str
    reason: Reason | None = None
    detail: str = ""

    @property
    def failed(self) -> bool:
        """Whether there was something to check, and it does not hold."""
        return self.reason not in (None, Reason.OK)


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
        yield CheckResult(f"step {step.name}", judgement.reason, judgement.detail)
        judged = judged and judgement.reason is Reason.OK
        if judgement.data_age is not None:
            oldest = max(judgement.data_age, oldest or 0.0)
    if journey.failure is not None:
        judged = False
        check = partial(check_whole, journey, expectations, document_of(journey))
        yield _result("the journey could go on to its end", check)
    yield from _explain_time(journey, expectations, oldest, judged=judged)


def _explain_answer(observation: Observation, expectations: Expectations) -> Iterator[CheckResult]:
    if expectations.refused:
        refusal = judge(observation, replace(expectations, latency=None))
        yield CheckResult("the target refuses us", refusal.reason, refusal.detail)
        yield from _explain_time(observation, expectations, None, judged=refusal.reason is Reason.OK)
        return
    document = document_of(observation)
    judged = True
    for check in CHECKS:
        for what, part in single_items(check, observation, expectations):
            run = partial(check.run, observation, part, document)
            result = _result(what, run, seen(check, observation), judged=judged)
            # Checks that hold unless something breaks are shown only when they fail, except the first.
            if result.failed or check is CHECKS[0] or check.reads or (judged and check.about):
                yield result
            judged = judged and not (result.failed and check.decides)
    age: float | None = None
    if expectations.fresh is not None:
        read_age = partial(age_of, observation, document, expectations)
        result = _result("the age of the data is stated", read_age, judged=judged)
        age = read_age() if result.reason is Reason.OK else None
        yield result
    yield from _explain_time(observation, expectations, age, judged=judged)


def _explain_time(
    observation: Observation, expectations: Expectations, age: float | None, *, judged: bool
) -> Iterator[CheckResult]:
    latency, limit, oldest = observation.latency, expectations.latency, expectations.max_age
    if limit is not None:
        in_time = partial(check_time, observation, replace(expectations, max_age=None), age)
        took = "" if latency is None else f"{latency * 1000:.1f} ms"
        yield _result(f"answered within {limit * 1000:.0f} ms", in_time, took, judged=judged and latency is not None)
    if oldest is not None and (age is not None or expectations.fresh is not None):
        in_date = partial(check_time, observation, replace(expectations, latency=None), age)
        old = "" if age is None else f"{age:.0f} s"
        yield _result(f"data no older than {oldest:.0f} s", in_date, old, judged=judged and age is not None)


def _result(what: str, run: Callable[[], object], evidence: str = "", *, judged: bool = True) -> CheckResult:
    """Return the result of a check, with the evidence if it holds. Only what can be ``judged`` is run."""
    if not judged:
        return CheckResult(what)
    try:
        run()
    except CheckFailedError as failed:
        return CheckResult(what, failed.reason, failed.detail)
    except Exception as error:  # noqa: BLE001 - as in judging: a check that raises has failed
        return CheckResult(what, Reason.CHECK_ERROR, f"a check failed to run: {type(error).__name__}")
    return CheckResult(what, Reason.OK, evidence)
