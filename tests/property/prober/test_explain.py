"""An explanation agrees with the judgement."""

from __future__ import annotations

from dataclasses import fields, replace

from hypothesis import given
from hypothesis import strategies as st

from services.core.model.outcome import Reason
from services.core.model.probe import (
    Expect,
    FreshnessSource,
    HeaderExpectation,
    JsonExpectation,
    Patterns,
    Probe,
    RecordPatterns,
    XmlExpectation,
)
from services.prober.checks import CheckResult, explain
from services.prober.checks.judgement import judge, needed
from services.prober.expected.compiler import compile_expectations
from services.prober.expected.expectations import Expectations
from services.prober.observation import Cause, DnsFacts, Failure, Observation, Phase, RpcFacts, StepFacts

_SOAP = b'<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body>%s</e:Body></e:Envelope>'
_BODIES = (
    b"",
    b"not JSON",
    b'{"id": "1", "clear": true, "at": 1799999990}',
    b'{"id": 2, "at": "never"}',
    b"<a><id>1</id></a>",
    _SOAP % b"<a><id>1</id></a>",
    _SOAP % b"<e:Fault><faultcode>e:Server</faultcode></e:Fault>",
)
_HEADERS = (("content-type", "application/json"), ("x-road-error", "Server"), ("x-id", "1"), ("x-id", "2"))
_PATTERNS = ("id", "clear", "nothing like it", "^$")
_RECORDS = ("a. 60 IN A 192.0.2.1", "a. 60 IN NS b.")

bodies = st.builds(
    Patterns,
    must=st.lists(st.sampled_from(_PATTERNS), max_size=2).map(tuple),
    must_not=st.just(()) | st.just(("clear",)),
)
record_patterns = st.builds(
    RecordPatterns,
    must=st.sampled_from([(), ("A",), ("MX", "NS")]),
    must_not=st.sampled_from([(), ("192",)]),
    every=st.sampled_from([(), ("60 IN",)]),
    empty=st.booleans(),
)
expects = st.builds(
    Expect,
    status=st.sampled_from([(), (200,), (404, 500)]),
    headers=st.dictionaries(
        st.sampled_from(["Content-Type", "X-Id", "X-None"]),
        st.builds(
            HeaderExpectation,
            must=st.sampled_from(["", "json", "1"]),
            must_not=st.sampled_from(["", "2"]),
            optional=st.booleans(),
        ),
        max_size=2,
    ),
    body=bodies,
    json=st.lists(
        st.builds(
            JsonExpectation,
            path=st.sampled_from(["$.id", "$.none"]),
            equals=st.sampled_from([None, "1", 2]),
            type=st.sampled_from(["", "string"]),
        ),
        max_size=2,
    ).map(tuple),
    xml=st.lists(
        st.builds(XmlExpectation, path=st.sampled_from(["//id", "//none"]), equals=st.sampled_from([None, "1"])),
        max_size=2,
    ).map(tuple),
    schema=st.sampled_from([None, {"type": "object", "required": ["clear"]}]),
    record=st.sampled_from([{}, {"id": "1"}, {"id": "1", "none": "2"}]),
    fresh=st.sampled_from([None, FreshnessSource(path="$.at"), FreshnessSource(header="x-id")]),
    tls=st.booleans(),
    rcode=st.sampled_from([(), ("NXDOMAIN",)]),
    answers=record_patterns,
    authority=record_patterns,
)
expectations = st.builds(
    lambda expect, kind, latency, max_age: compile_expectations(
        Probe("x", kind, expect=expect), {}, latency=latency, max_age=max_age
    ),
    st.just(Expect()) | expects,
    st.sampled_from(["http", "xroad-rest", "grpc", "dns"]),
    st.sampled_from([None, 0.05, 1.0]),
    st.sampled_from([None, 5.0, 50.0]),
) | st.builds(
    lambda record, xml: compile_expectations(
        Probe("x", "xroad-soap", expect=Expect(record=record, xml=xml)), {}, latency=1.0, max_age=None
    ),
    st.sampled_from([{}, {"//id": "1"}, {"//none": "1"}]),
    st.sampled_from([(), (XmlExpectation("//id", "2"),)]),
)
answers = st.builds(
    Observation,
    time=st.just(1_800_000_000.0),
    duration=st.just(0.2),
    latency=st.sampled_from([None, 0.1]),
    status=st.sampled_from([0, 200, 302, 401, 404, 500]),
    headers=st.lists(st.sampled_from(_HEADERS), max_size=3).map(tuple),
    body=st.sampled_from(_BODIES),
    failure=st.none() | st.builds(Failure, st.sampled_from(Phase), st.sampled_from(Cause), st.just("why")),
    redirected=st.booleans(),
    tls_version=st.sampled_from(["", "TLSv1.3"]),
    rpc=st.none() | st.builds(RpcFacts, st.sampled_from(["OK", "NOT_FOUND", "INTERNAL"]), st.just("NOT_SERVING")),
    dns=st.none()
    | st.builds(DnsFacts, st.sampled_from(["NOERROR", "NXDOMAIN", "SERVFAIL"]), st.just(()) | st.just(_RECORDS)),
)
journeys = st.builds(
    Observation,
    time=st.just(1_800_000_000.0),
    duration=st.just(0.2),
    latency=st.sampled_from([None, 0.1]),
    failure=st.none() | st.just(Failure(Phase.TRANSFER, Cause.CAPTURE, "why")),
)
steps = st.lists(st.tuples(st.builds(StepFacts, st.just("s"), answers), expectations), min_size=1, max_size=3)


def _first_failed(results: tuple[CheckResult, ...]) -> CheckResult | None:
    return next((result for result in results if result.failed), None)


@given(answers, expectations)
def test_the_first_check_that_fails_is_the_reason(observation: Observation, expected: Expectations) -> None:
    """For any observation and expectations, the first failed check has the reason and the detail of the judgement."""
    judgement = judge(observation, expected)
    first = _first_failed(explain(observation, expected))
    if judgement.reason is Reason.OK:
        assert first is None
    else:
        assert first is not None
        assert (first.reason, first.detail) == (judgement.reason, judgement.detail)


@given(journeys, expectations, steps)
def test_the_first_step_that_fails_is_the_reason(
    journey: Observation, expected: Expectations, taken: list[tuple[StepFacts, Expectations]]
) -> None:
    """The first failed line of a journey has the reason of the judgement."""
    journey = replace(journey, steps=tuple(step for step, _ in taken))
    expected = replace(expected, steps=tuple(of_step for _, of_step in taken))
    judgement = judge(journey, expected)
    first = _first_failed(explain(journey, expected))
    assert (Reason.OK if first is None else first.reason) is judgement.reason


@given(answers, expectations)
def test_no_expectation_is_left_out(observation: Observation, expected: Expectations) -> None:
    """Each expected item is a line of its own, for any observation."""
    results = explain(observation, expected)
    items = 0
    for field in fields(expected):
        value = getattr(expected, field.name)
        if isinstance(value, tuple):
            items += len(value)
        elif field.name in {"answers", "authority"}:
            items += len(value.must) + len(value.must_not)
        elif field.name == "soap":
            items += 2 * value  # that it is a SOAP message, and no fault
        elif field.name in {"status", "schema", "fresh", "tls", "rcode"}:
            items += bool(value)
    assert len(results) >= items
    assert all(result.what for result in results)


@given(answers, expectations)
def test_checks_that_are_not_needed_never_fail(observation: Observation, expected: Expectations) -> None:
    """Leaving out checks without expectations changes no judgement."""
    assert judge(observation, expected, needed(expected)) == judge(observation, expected)
