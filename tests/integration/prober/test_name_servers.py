"""Probes are unknown while the vantage's name servers fail (docs/probing.md §5, behaviour 35)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import dns.rcode
import pytest
import structlog
from prometheus_client import CollectorRegistry

from services.core.model import Egress, Measurement, Outcome, Probe, Proxy, Reason, Step, Target
from services.prober.assignments import Assignment, Origin, ProbingPlan
from services.prober.attempt import ProbeRunner
from services.prober.control import ControlLoop, ControlNames, ControlTargets
from services.prober.excuses import Bracket
from services.prober.kinds import ProbeEnvironment
from services.prober.metrics import ProberMetrics
from services.prober.pipeline import HeldMeasurement, Pipeline
from services.prober.scheduling import Launch, Rendezvous, ScheduleEntry
from services.prober.transport import Outbound
from services.prober.transport.egress import EgressRules
from tests.support.servers.http_server import forever, says, serving
from tests.support.servers.name_server import NameServer, name_server

pytestmark = pytest.mark.usefixtures("quick")

NAMES = {name: ["127.0.0.1"] for name in ("tax.test", "land.test")}
ALLOWED = EgressRules(Egress(("127.0.0.0/8",), allow_loopback=True))


class Vantage:
    """The pipeline of a prober whose control rounds are made by hand. Names are never cached."""

    def __init__(self, outbound: Outbound, *control_names: str) -> None:
        self.rows: list[Measurement] = []
        self.environment = ProbeEnvironment(outbound)
        log, metrics = structlog.get_logger(), ProberMetrics(CollectorRegistry())
        bracket: Bracket[HeldMeasurement] = Bracket(100.0)
        self._pipeline = Pipeline(ProbeRunner(self.environment, log), bracket, self, metrics)  # type: ignore[arg-type]
        self._control = ControlLoop("north", bracket, self._pipeline.release, self._flush, metrics, log)
        self._checked = (
            ControlTargets((), self.environment),
            ControlNames(control_names, (), self.environment.outbound.resolver),
        )

    def add(self, row: Measurement) -> None:
        """Keep a measurement, as its publisher."""
        self.rows.append(row)

    async def _flush(self) -> None:
        pass

    async def measure(self, url: str) -> Measurement:
        """Probe a URL between two control rounds, and return what is published."""
        return await self.measure_by(Probe("x", "http"), url)

    async def measure_by(self, probe: Probe, url: str) -> Measurement:
        """Probe by a definition between two control rounds, and return what is published."""
        target = Target("x")
        assigned = Assignment(ScheduleEntry(target, 1.0), probe, "a", "b", url, ({},), 60.0, None)
        plan = ProbingPlan(
            Origin("north", "p", "r", "p"), 300, {target: assigned}, Rendezvous(), (), (), Proxy(), 1.0, 1, 0.0
        )
        await self._control._round(asyncio.get_running_loop().time(), *self._checked)
        await self._pipeline.probe(Launch(target=target, slot_start=1 << 40, due=0.0, latest=0.0), plan)
        await self._control._round(asyncio.get_running_loop().time(), *self._checked)
        return self.rows[-1]


def _silent(server: NameServer) -> None:
    server.mute = True


def _slow(server: NameServer) -> None:
    server.delay = 3.0


def _answers(code: dns.rcode.Rcode) -> Callable[[NameServer], None]:
    def change(server: NameServer) -> None:
        server.rcode = code

    return change


@pytest.mark.parametrize(
    "fail",
    [_silent, _slow, *map(_answers, (dns.rcode.SERVFAIL, dns.rcode.REFUSED, dns.rcode.NOTIMP, dns.rcode.NXDOMAIN))],
    ids=["silent", "slow", "SERVFAIL", "REFUSED", "NOTIMP", "denies all"],
)
@pytest.mark.parametrize("control_names", [(), ("land.test",)], ids=["names of targets", "names of the policy"])
async def test_a_name_server_that_fails_is_charged_to_no_target(
    fail: Callable[[NameServer], None], control_names: tuple[str, ...]
) -> None:
    """While the name server fails in any way, probes by name are UNKNOWN/RESOLVER_FAILED; those by address continue."""
    clock = iter(range(0, 1 << 40, 1000))
    async with (
        name_server(NAMES, ttl=0, clock=lambda: float(next(clock))) as (server, resolver),
        serving(says()) as site,
    ):
        vantage = Vantage(Outbound(egress=ALLOWED, resolver=resolver), *control_names)
        for name in NAMES:
            assert (await vantage.measure(site.url(host=name))).reason is Reason.OK
        fail(server)
        failed = await vantage.measure(site.url(host="tax.test"))
        assert (failed.outcome, failed.reason) == (Outcome.UNKNOWN, Reason.RESOLVER_FAILED)
        assert (await vantage.measure(site.url())).reason is Reason.OK
        server.mute, server.rcode, server.delay = False, None, 0.0
        await vantage.measure(site.url())
        assert (await vantage.measure(site.url(host="tax.test"))).reason is Reason.OK
        await vantage.environment.close()


async def test_a_name_that_is_denied_while_others_resolve_is_the_target_s() -> None:
    """NXDOMAIN of one name counts against its target, also where no other name is known."""
    clock = iter(range(0, 1 << 40, 1000))
    async with (
        name_server({"land.test": ["127.0.0.1"]}, ttl=0, clock=lambda: float(next(clock))) as (_, resolver),
        serving(says()) as site,
    ):
        vantage = Vantage(Outbound(egress=ALLOWED, resolver=resolver))
        for name, reason in (("gone.test", Reason.RESOLVE_FAILED), ("land.test", Reason.OK)) * 2:
            assert (await vantage.measure(site.url(host=name))).reason is reason
        await vantage.environment.close()


async def test_a_name_server_that_never_answered() -> None:
    """A name server that never answers, or denies every name of the policy, is no target's fault from the first probe
    on.
    """
    async with name_server({}, mute=True) as (_, silent), name_server({}) as (_, denying), serving(says()) as site:
        for resolver, names in ((silent, ()), (denying, ("land.test",))):
            vantage = Vantage(Outbound(egress=ALLOWED, resolver=resolver), *names)
            assert (await vantage.measure(site.url(host="tax.test"))).reason is Reason.RESOLVER_FAILED
            await vantage.environment.close()


def _journey(probe: Probe) -> Probe:
    return Probe("x", "journey", timeout=probe.timeout, steps=(Step(probe, "${target}"),))


@pytest.mark.parametrize("define", [lambda probe: probe, _journey], ids=["a probe", "a journey"])
@pytest.mark.parametrize(
    ("delay", "reason"),
    [(0.3, Reason.RESOLVER_FAILED), (0.0, Reason.ANSWER_TIMEOUT)],
    ids=["slow", "quick"],
)
async def test_a_timeout_after_a_long_wait_for_a_name_is_no_target_s(
    define: Callable[[Probe], Probe], delay: float, reason: Reason
) -> None:
    """While no name of the policy resolves, a timeout counts unless its name came within a tenth of its time."""
    async with name_server({"tax.test": ["127.0.0.1"]}) as (server, resolver), serving(forever) as site:
        vantage = Vantage(Outbound(egress=ALLOWED, resolver=resolver), "land.test")
        server.delay = delay
        probe = define(Probe("x", "http", timeout=1.0))
        assert (await vantage.measure_by(probe, site.url(host="tax.test"))).reason is reason
        await vantage.environment.close()


@pytest.mark.parametrize("place", [0, 3], ids=["before", "after"])
async def test_names_that_are_gone_do_not_speak_for_the_vantage(place: int) -> None:
    """Names that resolved once and are now denied count against their targets while a name resolves that was queried
    before or after them, and is not queried by any probe now.
    """
    clock = iter(range(0, 1 << 40, 1000))
    gone = [f"{letter}.gone.test" for letter in "abc"]
    names = [*gone[:place], "land.test", *gone[place:]]
    async with (
        name_server({name: ["127.0.0.1"] for name in names}, ttl=0, clock=lambda: float(next(clock))) as (
            server,
            resolver,
        ),
        serving(says()) as site,
    ):
        vantage = Vantage(Outbound(egress=ALLOWED, resolver=resolver))
        for name in names:
            assert (await vantage.measure(site.url(host=name))).reason is Reason.OK
        for name in gone:
            del server.names[name]
        await vantage.measure(site.url())
        for name in gone:
            failed = await vantage.measure(site.url(host=name))
            assert (failed.outcome, failed.reason) == (Outcome.NOT_CONNECTED, Reason.RESOLVE_FAILED)
        await vantage.environment.close()
