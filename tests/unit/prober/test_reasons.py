"""Every reason is produced by the code that decides it: checks, excuses, the launcher, the indicator, the api."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from inspect import isawaitable

import numpy as np
import pytest
import structlog
from prometheus_client import CollectorRegistry

from services.api.answers.links import slot_messages
from services.core.model.measurement import Measurement, Target
from services.core.model.outcome import Outcome, Reason
from services.core.model.probe import (
    Auth,
    Expect,
    FreshnessSource,
    HeaderExpectation,
    JsonExpectation,
    Patterns,
    Probe,
    Proxy,
    RecordPatterns,
    XmlExpectation,
)
from services.core.model.register import Egress, Link
from services.indicator.calendar import Calendar
from services.indicator.cells.packing import EMPTY, reasons
from services.prober.assignments import Assignment, Origin, ProbingPlan
from services.prober.attempt import ProbeRunner
from services.prober.checks.judgement import judge
from services.prober.excuses import Bracket, VantageFaults
from services.prober.expected.compiler import compile_expectations
from services.prober.kinds.kind import ProbeEnvironment
from services.prober.launcher import Launcher
from services.prober.metrics import ProberMetrics
from services.prober.observation import Cause, CertificateFacts, DnsFacts, Failure, Observation, Phase, RpcFacts
from services.prober.pipeline import Pipeline
from services.prober.publishing.measurements import measured
from services.prober.scheduling.membership import Membership
from services.prober.scheduling.rendezvous import Rendezvous
from services.prober.scheduling.schedule import Launch, ScheduleEntry
from services.prober.transport.addresses import Outbound
from services.prober.transport.egress import EgressRules

GOOD = Observation(
    time=1_800_000_000.0,
    duration=0.2,
    latency=0.1,
    status=200,
    headers=(("content-type", "application/json"),),
    body=b'{"id": 1, "updated": 1799999900}',
)
FAULT = (
    b'<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body>'
    b"<e:Fault><faultcode>e:Server</faultcode></e:Fault></e:Body></e:Envelope>"
)
ORIGIN = Origin("north", "p1", "r1", "p1")

Case = Callable[[], Reason | Awaitable[Reason]]


def judged(
    observation: Observation = GOOD,
    expect: Expect | None = None,
    *,
    kind: str = "http",
    latency: float | None = 2.0,
    max_age: float | None = None,
) -> Case:
    """Return a case that judges an observation."""
    definition = Probe("x", kind, expect=expect or Expect())
    return lambda: judge(observation, compile_expectations(definition, {}, latency=latency, max_age=max_age)).reason


def failed(phase: Phase, cause: Cause) -> Case:
    """Return the case of a probe that failed by this cause in this phase."""
    return judged(Observation(1000.0, 0.2, failure=Failure(phase, cause, "why")))


def answered(expect: Expect, **facts: object) -> Case:
    """Return the case of a complete answer with these facts."""
    return judged(replace(GOOD, **facts), expect)  # type: ignore[arg-type]


def named(*records: str, rcode: str = "NOERROR") -> Observation:
    return Observation(1000.0, 0.2, latency=0.1, dns=DnsFacts(rcode, records))


def called(code: str, serving: str = "", *, health: bool = False) -> Case:
    return judged(Observation(1000.0, 0.2, latency=0.1, rpc=RpcFacts(code, serving, health=health)), kind="grpc")


def attempted(url: str, definition: Probe, egress: Egress | None = None) -> Case:
    """Return the case of one real probe."""

    async def attempt() -> Reason:
        environment = ProbeEnvironment(
            Outbound(egress=EgressRules(egress or Egress(("127.0.0.0/8",), allow_loopback=True)))
        )
        try:
            assigned = Assignment(ScheduleEntry(Target("x"), 1.0), definition, "a", "b", url, ({},), 2.0, None)
            result = await ProbeRunner(environment, structlog.get_logger()).probe(assigned)
        finally:
            await environment.close()
        return result.judgement.reason

    return attempt


class _Kept:
    """A publisher that keeps its rows."""

    def __init__(self) -> None:
        self.rows: list[Measurement] = []

    def add(self, row: Measurement) -> None:
        self.rows.append(row)


def _assigned(target: Target) -> Assignment:
    entry = ScheduleEntry(target, 1.0)
    return Assignment(entry, Probe("x", "http"), "a", "b", "http://127.0.0.1:9/", ({},), 2.0, None)


def _pipeline(kept: _Kept, environment: ProbeEnvironment, metrics: ProberMetrics) -> Pipeline:
    runner = ProbeRunner(environment, structlog.get_logger())
    return Pipeline(runner, Bracket(1.0), kept, metrics)  # type: ignore[arg-type]


async def _shed() -> Reason:
    """Return the reason of a launch whose turn came too late."""
    kept, environment, metrics = _Kept(), ProbeEnvironment(), ProberMetrics(CollectorRegistry())
    pipeline = _pipeline(kept, environment, metrics)
    launcher = Launcher(9, pipeline, Membership("p1", 1.0), metrics, structlog.get_logger())
    target = Target("x")
    plan = ProbingPlan(ORIGIN, 300, {target: _assigned(target)}, Rendezvous(), (), (), Proxy(), 1.0, 1, 0.0)
    launcher._launch(Launch(target=target, slot_start=1000, due=1000.0, latest=1001.0), plan)
    await environment.close()
    return kept.rows[0].reason


async def _overrun() -> Reason:
    """Return the reason of a probe that ended after its slot."""
    environment = ProbeEnvironment()
    result = await ProbeRunner(environment, structlog.get_logger()).probe(_assigned(Target("x")), slot_end=1000.0)
    await environment.close()
    return result.judgement.reason


def released(observation: Observation, faults: VantageFaults) -> Case:
    """Return the case of a probe during these faults of the vantage."""

    async def release() -> Reason:
        kept, environment, metrics = _Kept(), ProbeEnvironment(), ProberMetrics(CollectorRegistry())
        judgement = judge(observation, compile_expectations(Probe("x", "http"), {}, latency=None, max_age=None))
        row = measured(Target("x"), 1000, observation, judgement, ORIGIN)
        _pipeline(kept, environment, metrics).release((row, 200, 0.1, observation.failure), faults)
        await environment.close()
        return kept.rows[0].reason

    return release


def _absent() -> Reason:
    """Return the reason that the api shows for a link that the register documents as not built."""
    link = Link("x", "service", "b", "item", live_from=None)
    calendar = Calendar(timezone="UTC", epoch=datetime(2026, 1, 1, tzinfo=UTC).timestamp(), slot_seconds=300)
    first = calendar.epoch_slot
    return Reason(next(iter(slot_messages(link, calendar, range(first, first + 1), {}))).reason)


CASES: dict[Reason, Case] = {
    Reason.OK: judged(),
    Reason.NO_MEASUREMENT: lambda: Reason(int(reasons(np.array([EMPTY]))[0])),
    Reason.PROBER_ERROR: attempted("http://127.0.0.1:9/${missing}", Probe("x", "http")),
    Reason.OVERRUN: _overrun,
    Reason.SHED: _shed,
    Reason.VANTAGE_BLIND: released(GOOD, VantageFaults(blind=True)),
    Reason.RESOLVER_FAILED: released(
        Observation(1000.0, 0.2, failure=Failure(Phase.RESOLVE, Cause.FAILED, "why")), VantageFaults(unresolved=True)
    ),
    Reason.OWN_CREDENTIAL: attempted(
        "http://127.0.0.1:9/", Probe("x", "http", auth=Auth("bearer", token="env:NO_SUCH"))
    ),
    Reason.EGRESS_DENIED: attempted("http://127.0.0.1:9/", Probe("x", "http"), Egress(("192.0.2.0/24",))),
    Reason.LOCAL_RESOURCES: failed(Phase.CONNECT, Cause.LOCAL_RESOURCES),
    Reason.PROXY_FAILED: failed(Phase.PROXY, Cause.REFUSED),
    Reason.ABSENT: _absent,
    Reason.RESOLVE_FAILED: failed(Phase.RESOLVE, Cause.FAILED),
    Reason.RESOLVE_TIMEOUT: failed(Phase.RESOLVE, Cause.TIMEOUT),
    Reason.CONNECT_REFUSED: failed(Phase.CONNECT, Cause.REFUSED),
    Reason.CONNECT_TIMEOUT: failed(Phase.CONNECT, Cause.TIMEOUT),
    Reason.CONNECT_UNREACHABLE: failed(Phase.CONNECT, Cause.UNREACHABLE),
    Reason.TLS_FAILED: failed(Phase.TLS, Cause.FAILED),
    Reason.TLS_TIMEOUT: failed(Phase.TLS, Cause.TIMEOUT),
    Reason.CERTIFICATE_EXPIRED: failed(Phase.TLS, Cause.CERTIFICATE_EXPIRED),
    Reason.CERTIFICATE_NOT_YET_VALID: failed(Phase.TLS, Cause.CERTIFICATE_NOT_YET_VALID),
    Reason.CERTIFICATE_NAME_MISMATCH: failed(Phase.TLS, Cause.CERTIFICATE_NAME_MISMATCH),
    Reason.CERTIFICATE_UNTRUSTED: failed(Phase.TLS, Cause.CERTIFICATE_UNTRUSTED),
    Reason.TLS_NOT_SPOKEN: failed(Phase.TLS, Cause.TLS_NOT_SPOKEN),
    Reason.STARTTLS_REFUSED: failed(Phase.PROCESSING, Cause.STARTTLS_REFUSED),
    Reason.ANSWER_TIMEOUT: failed(Phase.PROCESSING, Cause.TIMEOUT),
    Reason.BODY_TIMEOUT: failed(Phase.TRANSFER, Cause.TIMEOUT),
    Reason.CONNECTION_RESET: failed(Phase.PROCESSING, Cause.RESET),
    Reason.CONNECTION_CLOSED: failed(Phase.TRANSFER, Cause.CLOSED),
    Reason.PROTOCOL_ERROR: failed(Phase.PROCESSING, Cause.PROTOCOL),
    Reason.SERVER_ERROR: answered(Expect(), status=503),
    Reason.AUTH_REFUSED: answered(Expect(), status=401),
    Reason.BUS_ERROR: judged(replace(GOOD, headers=(("x-road-error", "Server"),)), kind="xroad-rest"),
    Reason.NOT_SERVING: called("OK", "NOT_SERVING", health=True),
    Reason.UNKNOWN_SERVICE: called("NOT_FOUND", health=True),
    Reason.UNIMPLEMENTED: called("UNIMPLEMENTED"),
    Reason.RPC_FAILED: called("INTERNAL"),
    Reason.SOAP_FAULT: judged(replace(GOOD, status=500, headers=(), body=FAULT), kind="soap"),
    Reason.NAME_SERVER_FAILED: judged(named(rcode="SERVFAIL"), kind="dns"),
    Reason.STATUS: answered(Expect(), status=404),
    Reason.HEADER: answered(Expect(headers={"X-Absent": HeaderExpectation(must=".")})),
    Reason.BODY: answered(Expect(body=Patterns(must_not=("id",)))),
    Reason.JSON: answered(Expect(json=(JsonExpectation("$.id", type="string"),))),
    Reason.TEST_RECORD: answered(Expect(record={"id": 2})),
    Reason.BODY_LIMIT: answered(Expect(), failure=Failure(Phase.TRANSFER, Cause.BODY_LIMIT)),
    Reason.ENCODING: answered(Expect(), failure=Failure(Phase.TRANSFER, Cause.ENCODING)),
    Reason.TOO_MANY_REDIRECTS: answered(Expect(), failure=Failure(Phase.TRANSFER, Cause.TOO_MANY_REDIRECTS)),
    Reason.REDIRECT_REFUSED: answered(Expect(), failure=Failure(Phase.CONNECT, Cause.EGRESS), redirected=True),
    Reason.AGE_UNREADABLE: answered(Expect(fresh=FreshnessSource(path="$.never"))),
    # No answer on the wire gives half a character. If something ever did, it would not pass.
    Reason.CHECK_ERROR: answered(Expect(headers={"X": HeaderExpectation(must=".")}), headers=(("x", "\ud800"),)),
    Reason.XML: answered(Expect(xml=(XmlExpectation("//id"),))),
    Reason.JSON_SCHEMA: answered(Expect(schema={"required": ["name"]})),
    Reason.RCODE: judged(named(rcode="NXDOMAIN"), kind="dns"),
    Reason.RECORDS: judged(named("a. 60 IN A 192.0.2.1"), Expect(answers=RecordPatterns(must=("AAAA",))), kind="dns"),
    Reason.LINE: failed(Phase.PROCESSING, Cause.LINE),
    Reason.CAPTURE: failed(Phase.TRANSFER, Cause.CAPTURE),
    Reason.NOT_SECURE: answered(Expect(tls=True)),
    Reason.CERTIFICATE_EXPIRING: answered(
        Expect(certificate_left=86_400.0), certificate=CertificateFacts("", (), 0, 0, int(GOOD.time) + 3600)
    ),
    Reason.NOT_REFUSED: answered(Expect(refused=True)),
    Reason.LATE: judged(latency=0.05),
    Reason.STALE: judged(expect=Expect(fresh=FreshnessSource(path="$.updated")), max_age=60.0),
}


@pytest.mark.parametrize("reason", Reason, ids=lambda reason: reason.name)
async def test_40_every_reason_is_produced(reason: Reason) -> None:
    """Each reason is produced by the code that decides it, and belongs to exactly one outcome."""
    produced = CASES[reason]()
    if isawaitable(produced):
        produced = await produced
    assert produced is reason
    assert reason.outcome in Outcome
