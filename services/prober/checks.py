"""From what a probe saw to what it means: (outcome, reason, detail). Pure, and never raises (PROBING.md, Kinds).

The lowest stage wins: what kept the target from being connected comes before what kept it from answering, that before
wrong content, that before lateness, that before staleness. Within a stage the order below decides the reason.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson

from services.core.outcome import Outcome, Reason
from services.prober.age import moment
from services.prober.expectations import Expectations, FreshAt, JsonCheck
from services.prober.observation import Cause, Failure, Observation, Phase
from services.register.text import fold

__all__ = ["DETAIL_LENGTH", "Judgement", "judge"]

DETAIL_LENGTH = 200
"""A detail is cut to this many characters."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What one observation means. ``data_age`` in seconds, None when the answer does not tell."""

    reason: Reason
    detail: str = ""
    data_age: float | None = None

    @property
    def outcome(self) -> Outcome:
        """The outcome the reason belongs to."""
        return self.reason.outcome


class _WrongError(Exception):
    """The first thing found wrong with an answer."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


_ANYWHERE: dict[Cause, Reason] = {
    Cause.LOCAL_RESOURCES: Reason.LOCAL_RESOURCES,
    Cause.CREDENTIAL: Reason.OWN_CREDENTIAL,
    Cause.CERTIFICATE_EXPIRED: Reason.CERTIFICATE_EXPIRED,
    Cause.CERTIFICATE_NOT_YET_VALID: Reason.CERTIFICATE_NOT_YET_VALID,
    Cause.CERTIFICATE_NAME_MISMATCH: Reason.CERTIFICATE_NAME_MISMATCH,
    Cause.CERTIFICATE_UNTRUSTED: Reason.CERTIFICATE_UNTRUSTED,
    Cause.TOO_MANY_REDIRECTS: Reason.TOO_MANY_REDIRECTS,
    Cause.REDIRECT_DOWNGRADED: Reason.REDIRECT_REFUSED,
    Cause.REDIRECT_UNUSABLE: Reason.REDIRECT_REFUSED,
    Cause.BODY_LIMIT: Reason.BODY_LIMIT,
    Cause.ENCODING: Reason.ENCODING,
    Cause.PROTOCOL: Reason.PROTOCOL_ERROR,
}
_CONNECTING: dict[tuple[Phase, Cause], Reason] = {
    (Phase.RESOLVE, Cause.TIMEOUT): Reason.RESOLVE_TIMEOUT,
    (Phase.RESOLVE, Cause.FAILED): Reason.RESOLVE_FAILED,
    (Phase.CONNECT, Cause.TIMEOUT): Reason.CONNECT_TIMEOUT,
    (Phase.CONNECT, Cause.REFUSED): Reason.CONNECT_REFUSED,
    (Phase.CONNECT, Cause.UNREACHABLE): Reason.CONNECT_UNREACHABLE,
    (Phase.TLS, Cause.TIMEOUT): Reason.TLS_TIMEOUT,
    (Phase.TLS, Cause.FAILED): Reason.TLS_FAILED,
    (Phase.PROCESSING, Cause.TIMEOUT): Reason.ANSWER_TIMEOUT,
    (Phase.TRANSFER, Cause.TIMEOUT): Reason.BODY_TIMEOUT,
    (Phase.PROCESSING, Cause.RESET): Reason.CONNECTION_RESET,
    (Phase.TRANSFER, Cause.RESET): Reason.CONNECTION_RESET,
    (Phase.PROCESSING, Cause.CLOSED): Reason.CONNECTION_CLOSED,
    (Phase.TRANSFER, Cause.CLOSED): Reason.CONNECTION_CLOSED,
}
# The answer began; its status and headers are judged before these, which are of the same stage.
_AFTER_HEADERS = frozenset({Cause.BODY_LIMIT, Cause.ENCODING})


def judge(observation: Observation, expectations: Expectations) -> Judgement:
    """Say what an observation means for the target. A check that itself errors is INVALID/CHECK_ERROR, never a pass."""
    try:
        return _judge(observation, expectations)
    except Exception as error:  # noqa: BLE001 - the border: whatever goes wrong in a check is a failed check
        return Judgement(Reason.CHECK_ERROR, f"a check failed to run: {type(error).__name__}")


def _judge(observation: Observation, expectations: Expectations) -> Judgement:
    age: float | None = None
    try:
        _check_whole(observation, headers_judged=False)
        _check_answered(observation, expectations)
        _check_status(observation, expectations)
        _check_headers(observation, expectations)
        _check_whole(observation, headers_judged=True)
        document = _Document(observation.body)
        _check_body(observation, expectations)
        _check_json(document, expectations)
        age = _age(observation, document, expectations.fresh)
        _check_time(observation, expectations, age)
    except _WrongError as wrong:
        return Judgement(wrong.reason, wrong.detail[:DETAIL_LENGTH], age)
    return Judgement(Reason.OK, "", age)


def _check_whole(observation: Observation, *, headers_judged: bool) -> None:
    failure = observation.failure
    if failure is not None and (headers_judged or failure.cause not in _AFTER_HEADERS):
        raise _WrongError(_reason_of(failure, redirected=observation.redirected), failure.detail)


def _reason_of(failure: Failure, *, redirected: bool) -> Reason:
    if failure.cause is Cause.EGRESS:
        # The register's own target is our policy's business; where an answer sends us is the answer's fault.
        return Reason.REDIRECT_REFUSED if redirected else Reason.EGRESS_DENIED
    return _ANYWHERE.get(failure.cause) or _CONNECTING[failure.phase, failure.cause]


def _check_answered(observation: Observation, expectations: Expectations) -> None:
    """Check stage 1: the target itself answered properly."""
    status = observation.status
    if any(name == "x-road-error" for name, _ in observation.headers):
        raise _WrongError(Reason.BUS_ERROR, "the data bus answered in the provider's place with X-Road-Error")
    if status in expectations.status:
        return
    if status >= 500:
        raise _WrongError(Reason.SERVER_ERROR, f"status {status}")
    if status in {401, 403}:
        raise _WrongError(Reason.AUTH_REFUSED, f"status {status}")


def _check_status(observation: Observation, expectations: Expectations) -> None:
    status = observation.status
    if expectations.status:
        if status not in expectations.status:
            listed = ", ".join(str(code) for code in sorted(expectations.status))
            raise _WrongError(Reason.STATUS, f"status {status} instead of {listed}")
    elif not 200 <= status < 300:
        raise _WrongError(Reason.STATUS, f"status {status} instead of 2xx")


def _check_headers(observation: Observation, expectations: Expectations) -> None:
    for name, pattern in expectations.headers:
        values = [value for given, value in observation.headers if given == name]
        if not values:
            raise _WrongError(Reason.HEADER, f"header {name} is absent")
        if not any(pattern.found(value.encode()) for value in values):
            raise _WrongError(Reason.HEADER, f"header {name} does not match {pattern.text}")


def _check_body(observation: Observation, expectations: Expectations) -> None:
    for pattern in expectations.must_not:
        if pattern.found(observation.body):
            raise _WrongError(Reason.BODY, f"the body matches the forbidden {pattern.text}")
    for pattern in expectations.must:
        if not pattern.found(observation.body):
            raise _WrongError(Reason.BODY, f"the body does not match {pattern.text}")


class _Document:
    """The body as JSON, read when first asked for."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self._value: Any = None
        self._read = False

    @property
    def value(self) -> Any:
        if not self._read:
            try:
                self._value = orjson.loads(self._body)
            except orjson.JSONDecodeError as error:
                raise _WrongError(Reason.JSON, "the body is not JSON") from error
            self._read = True
        return self._value


def _check_json(document: _Document, expectations: Expectations) -> None:
    for check in expectations.json:
        problem = _problem(check, document)
        if problem:
            raise _WrongError(Reason.JSON, problem)
    for check in expectations.record:
        problem = _problem(check, document)
        if problem:
            raise _WrongError(Reason.TEST_RECORD, problem)


def _problem(check: JsonCheck, document: _Document) -> str:
    """Say what is wrong at the path, without the values found: they may be personal."""
    found = [node.value for node in check.query.finditer(document.value)]
    if not found:
        return f"{check.path} finds nothing"
    if check.type:
        typed = [value for value in found if check.type in _types(value)]
        if not typed:
            return f"{check.path} is {next(_types(found[0]))}, not {check.type}"
        found = typed
    if check.equals is not None and not any(_same(value, check.equals) for value in found):
        return f"{check.path} differs from what is expected"
    return ""


def _types(value: object) -> Iterator[str]:
    """Name the JSON types of the value; a whole number is an integer as well as a number."""
    if value is None:
        yield "null"
    elif isinstance(value, bool):
        yield "boolean"
    elif isinstance(value, int | float):
        if isinstance(value, int) or value.is_integer():
            yield "integer"
        yield "number"
    elif isinstance(value, str):
        yield "string"
    elif isinstance(value, list):
        yield "array"
    else:
        yield "object"


def _same(found: object, expected: object) -> bool:
    """Equality of JSON values: true is not 1, texts compare folded (DESIGN.md, The register directory)."""
    if isinstance(found, str) and isinstance(expected, str):
        return found == expected or fold(found) == fold(expected)
    if isinstance(found, bool) or isinstance(expected, bool):
        return found is expected
    if isinstance(found, list) and isinstance(expected, list):
        return len(found) == len(expected) and all(map(_same, found, expected))
    if isinstance(found, dict) and isinstance(expected, dict):
        return found.keys() == expected.keys() and all(_same(found[key], expected[key]) for key in found)
    return found == expected


def _age(observation: Observation, document: _Document, fresh: FreshAt | None) -> float | None:
    """Seconds between the time the answer gives for its data and the end of the answer; a future time is age 0."""
    if fresh is None:
        return None
    value: object = None
    if fresh.query is not None:
        try:
            node = next(iter(fresh.query.finditer(document.value)), None)
        except _WrongError:
            node = None
        value = node and node.value
    else:
        value = next((given for name, given in observation.headers if name == fresh.header), None)
    when = moment(value)
    if when is None:
        raise _WrongError(Reason.AGE_UNREADABLE, "the answer does not tell the age of its data")
    return max(0.0, observation.time + observation.duration - when)


def _check_time(observation: Observation, expectations: Expectations, age: float | None) -> None:
    """Stages 3 and 4, for an answer that is right."""
    latency, limit = observation.latency, expectations.latency
    if latency is not None and limit is not None and latency > limit:
        raise _WrongError(Reason.LATE, f"answered after {latency * 1000:.0f} ms, more than {limit * 1000:.0f} ms")
    if age is not None and expectations.max_age is not None and age > expectations.max_age:
        raise _WrongError(Reason.STALE, f"the data is {age:.0f} s old, more than {expectations.max_age:.0f} s")
