"""Observations are judged, and the lowest stage that is wrong decides."""

from __future__ import annotations

from dataclasses import replace
from errno import (
    EACCES,
    EADDRNOTAVAIL,
    ECONNREFUSED,
    EHOSTUNREACH,
    EMFILE,
    ENETUNREACH,
    ENFILE,
    ENOBUFS,
    ENOMEM,
    EPERM,
    ETIMEDOUT,
)

import pytest

from services.core.model.outcome import Outcome, Reason
from services.core.model.probe import Expect, FreshnessSource, HeaderExpectation, JsonExpectation, Patterns, Probe
from services.prober.checks.explanation import explain
from services.prober.checks.judgement import judge
from services.prober.expected.compiler import compile_expectations, fill_value
from services.prober.expected.expectations import Expectations
from services.prober.observation import Cause, Failure, Observation, Phase
from services.prober.transport.kernel import os_error_cause

GOOD = Observation(time=1_800_000_000.0, duration=0.2, latency=0.1, status=200, body=b"{}")


def expectations(expect: Expect, *, latency: float | None = None, max_age: float | None = None) -> Expectations:
    return compile_expectations(Probe("test", "http", expect=expect), {}, latency=latency, max_age=max_age)


@pytest.mark.parametrize("phase", list(Phase))
@pytest.mark.parametrize("cause", list(Cause))
def test_every_failure_is_judged(phase: Phase, cause: Cause) -> None:
    """Every cause in every phase gives an outcome below OK, and judging it never raises."""
    judgement = judge(replace(GOOD, failure=Failure(phase, cause)), Expectations())
    assert judgement.outcome is not Outcome.OK


@pytest.mark.parametrize(
    ("failure", "reason"),
    [
        (Failure(Phase.CONNECT, Cause.UNREACHABLE), Reason.CONNECT_UNREACHABLE),
        (Failure(Phase.CONNECT, Cause.LOCAL_RESOURCES), Reason.LOCAL_RESOURCES),
        (Failure(Phase.CONNECT, Cause.EGRESS), Reason.EGRESS_DENIED),
    ],
)
def test_failures_that_loopback_cannot_produce(failure: Failure, reason: Reason) -> None:
    """An unreachable network is the target's failed connection. Our own lack of resources and policy are UNKNOWN."""
    assert judge(replace(GOOD, status=0, failure=failure), Expectations()).reason is reason


@pytest.mark.parametrize(
    ("number", "cause"),
    [
        *(
            (number, Cause.LOCAL_RESOURCES)
            for number in (EADDRNOTAVAIL, EMFILE, ENFILE, ENOBUFS, ENOMEM, EPERM, EACCES)
        ),
        (ECONNREFUSED, Cause.REFUSED),
        (EHOSTUNREACH, Cause.UNREACHABLE),
        (ENETUNREACH, Cause.UNREACHABLE),
        (ETIMEDOUT, Cause.TIMEOUT),
    ],
)
def test_reasons_of_a_failed_connect(number: int, cause: Cause) -> None:
    """Errors of this machine's resources, including connection tracking, are distinguished from the target's."""
    assert os_error_cause(OSError(number, "x")) is cause


def test_the_lowest_stage_wins() -> None:
    """If several things are wrong with an answer, the lowest stage decides."""
    expect = expectations(
        Expect(
            headers={"x": HeaderExpectation("y")}, body=Patterns(must=("never",)), fresh=FreshnessSource(header="date")
        ),
        latency=0.01,
        max_age=1,
    )
    steps = [
        (replace(GOOD, status=500, failure=Failure(Phase.TLS, Cause.FAILED)), Reason.TLS_FAILED),
        (replace(GOOD, status=500), Reason.SERVER_ERROR),
        (replace(GOOD, status=404), Reason.STATUS),
        (GOOD, Reason.HEADER),
        (replace(GOOD, headers=(("x", "y"),)), Reason.BODY),
        (replace(GOOD, headers=(("x", "y"),), body=b"never"), Reason.AGE_UNREADABLE),
        (replace(GOOD, headers=(("x", "y"), ("date", "1799999990")), body=b"never"), Reason.LATE),
        (replace(GOOD, headers=(("x", "y"), ("date", "1799999990")), body=b"never", latency=0.001), Reason.STALE),
        (replace(GOOD, headers=(("x", "y"), ("date", "1800000000")), body=b"never", latency=0.001), Reason.OK),
    ]
    for observation, reason in steps:
        assert judge(observation, expect).reason is reason


@pytest.mark.parametrize(("latency", "reason"), [(0.09, Reason.LATE), (0.1, Reason.OK), (None, Reason.OK)])
def test_an_expected_refusal_comes_in_time(latency: float | None, reason: Reason) -> None:
    """A refusal that is right is LATE above the latency limit, and the explanation gives the same reason."""
    expect, refusal = expectations(Expect(refused=True), latency=latency), replace(GOOD, status=403)
    assert judge(refusal, expect).reason is reason
    results = explain(refusal, expect)
    assert results[0].what == "the target refuses us"
    assert next((result.reason for result in results if result.failed), Reason.OK) is reason


def test_a_body_over_its_limit_comes_after_the_status() -> None:
    """An answer that is too long is judged by its status and headers first."""
    failure = Failure(Phase.TRANSFER, Cause.BODY_LIMIT)
    assert judge(replace(GOOD, status=503, failure=failure), Expectations()).reason is Reason.SERVER_ERROR
    assert judge(replace(GOOD, failure=failure), Expectations()).reason is Reason.BODY_LIMIT


@pytest.mark.parametrize(
    ("found", "expected", "same"),
    [
        (b"true", True, True),
        (b"1", True, False),
        (b"true", 1, False),
        (b"1.0", 1, True),
        (b"9007199254740993", 9007199254740992, False),
        (b"18446744073709551617", 18446744073709551617, True),
        (b"18446744073709551617", 18446744073709551616, False),
        (b'{"a": [-18446744073709551617]}', {"a": [-18446744073709551616]}, False),
        (b"1" + b"0" * 5000, 1, False),
        (b'"\\u06f1\\u06f2"', "12", True),
        (b'[1, {"a": "x"}]', [1, {"a": "x"}], True),
        (b"[1, 2]", [1], False),
        (b'{"a": 1}', {"a": 1, "b": 2}, False),
        (b"null", "null", False),
    ],
)
def test_equality_of_json_values(found: bytes, expected: object, same: bool) -> None:
    """True is not 1, numbers compare by value, texts folded, and lists and objects deeply."""
    expect = expectations(Expect(json=(JsonExpectation("$.v", equals=expected),)))
    reason = judge(replace(GOOD, body=b'{"v": ' + found + b"}"), expect).reason
    assert reason is (Reason.OK if same else Reason.JSON)


@pytest.mark.parametrize("value", [None, "${died}"])
def test_an_expected_null_is_compared(value: object) -> None:
    """Only null equals null, in a record as written or from a param, and at a path from a param."""
    expects = [Expect(record={"v": value})]
    expects += [Expect(json=(JsonExpectation("$.v", equals=value),))] if value else []
    for expect in expects:
        made = compile_expectations(Probe("test", "http", expect=expect), {"died": None}, latency=None, max_age=None)
        seen = {body: judge(replace(GOOD, body=body), made).outcome for body in (b'{"v": null}', b'{"v": "x"}', b"{}")}
        assert list(seen.values()) == [Outcome.OK, Outcome.INVALID, Outcome.INVALID]


@pytest.mark.parametrize(
    ("value", "kinds"),
    [
        (b"null", {"null"}),
        (b"true", {"boolean"}),
        (b"3", {"integer", "number"}),
        (b"3.0", {"integer", "number"}),
        (b"3.5", {"number"}),
        (b'"x"', {"string"}),
        (b"[]", {"array"}),
        (b"{}", {"object"}),
    ],
)
def test_json_types(value: bytes, kinds: set[str]) -> None:
    """Each JSON value has its type and no other, except that a whole number is also an integer."""
    for kind in ("null", "boolean", "integer", "number", "string", "array", "object"):
        expect = expectations(Expect(json=(JsonExpectation("$.v", type=kind),)))
        passed = judge(replace(GOOD, body=b'{"v": ' + value + b"}"), expect).reason is Reason.OK
        assert passed is (kind in kinds)


def test_a_schema_compares_large_integers_exactly() -> None:
    """A constant of a schema beyond 64 bits equals itself and no neighbour."""
    expect = expectations(Expect(schema={"properties": {"v": {"const": 2**64 + 1}}}))
    reasons = [judge(replace(GOOD, body=b'{"v": %d}' % (2**64 + more)), expect).reason for more in (0, 1)]
    assert reasons == [Reason.JSON_SCHEMA, Reason.OK]


def test_a_check_that_breaks_is_not_a_pass() -> None:
    """A check that raises is INVALID/CHECK_ERROR."""
    broken = replace(Expectations(), status=None)  # type: ignore[arg-type]
    assert judge(GOOD, broken).reason is Reason.CHECK_ERROR


def test_placeholders_keep_their_type() -> None:
    """A text of one placeholder becomes the param itself, at any depth. In a longer text it is written out."""
    params = {"year": 1350, "name": "علی"}
    value = {"a": ["${year}", "born ${year}", "$$5"], "b": {"c": "${name}"}}
    assert fill_value(value, params) == {"a": [1350, "born 1350", "$5"], "b": {"c": "علی"}}
    with pytest.raises(ValueError, match="missing"):
        fill_value("${missing}", params)
