"""Probing by schedule against real servers; the bus is a list."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from time import time

import pytest

from services.core.errors import SettingsError
from services.core.model.measurement import Target
from services.core.model.outcome import Outcome, Reason
from services.core.model.probe import Proxy
from services.core.model.register import Egress, Endpoint, Register, Vantage
from services.core.settings import Settings
from services.prober.assignments import plan_of
from services.prober.excuses import LoopStalls
from services.prober.scheduling.schedule import target_phase
from tests.support.cases.probing import Clock, RunningProber, register, running, slots
from tests.support.patient_loop import quick_waits, wall_time
from tests.support.servers.http_server import forever, says, serving
from tests.support.servers.proxy_server import proxying

pytestmark = pytest.mark.usefixtures("quick")


async def test_33_every_slot_of_every_target_is_measured_once(tmp_path: Path) -> None:
    """From its first whole slot on each target has exactly one measurement a slot, with origin, times and phases."""
    with quick_waits(1.0):  # the times of its probes are the machine's
        async with serving(says()) as server:
            urls = {f"link-{number}": server.url() for number in range(20)}
            async with running(tmp_path, register(urls)) as prober:
                rows = await prober.sink.until(lambda rows: len({row.slot_start for row in rows}) >= 4)
    whole = sorted({row.slot_start for row in rows})[1:3]
    for name in urls:
        counts = slots(rows, name)
        assert [counts[slot] for slot in whole] == [1, 1]
    row = rows[0]
    assert (row.vantage, row.prober, row.register_version, row.probe_version) == ("north", "p1", "r1", "p1")
    assert {row.reason for row in rows} == {Reason.OK}
    lag = time() - wall_time()  # probes have the machine's time, which passes faster than the loop's when it is busy
    assert all(row.time is not None and row.slot_start <= row.time < row.slot_start + 2 + lag for row in rows)


async def test_39_hung_targets_lose_no_slot_of_healthy_ones(tmp_path: Path) -> None:
    """With one target in ten hung, every slot of every healthy target is OK, and those hung are timeouts."""
    async with serving(says()) as healthy, serving(forever) as hung:
        urls = {f"link-{number}": (hung if number % 10 == 0 else healthy).url() for number in range(200)}
        async with running(tmp_path, register(urls)) as prober:
            rows = await prober.sink.until(lambda rows: len({row.slot_start for row in rows}) >= 4)
    whole = sorted({row.slot_start for row in rows})[1:3]
    expected = {name: Reason.ANSWER_TIMEOUT if int(name[5:]) % 10 == 0 else Reason.OK for name in urls}
    for slot in whole:
        assert {row.target.id: row.reason for row in rows if row.slot_start == slot} == expected


async def test_34_overload_sheds_and_is_counted(tmp_path: Path) -> None:
    """More probes at once than allowed are UNKNOWN/SHED, counted, without a time; running ones continue."""
    async with serving(forever) as hung:
        urls = {f"link-{number}": hung.url() for number in range(40)}
        async with running(tmp_path, register(urls, timeout=0.9), inflight=5) as prober:
            rows = await prober.sink.until(
                lambda rows: {Reason.SHED, Reason.ANSWER_TIMEOUT} <= {row.reason for row in rows}
            )
            shed = [row for row in rows if row.reason is Reason.SHED]
            assert (prober.sample("peyvand_probe_shed_total") or 0) >= len(shed)
            assert (prober.sample("peyvand_probe_inflight") or 0) <= 5
    assert all(row.outcome is Outcome.UNKNOWN and row.time is None for row in shed)


async def test_34_a_launch_that_comes_too_late_is_shed(tmp_path: Path) -> None:
    """A launch whose timeout no longer fits into its slot is UNKNOWN/SHED."""
    clock = Clock()
    async with serving(says()) as server:
        urls = {f"link-{number}": server.url() for number in range(30)}
        async with running(tmp_path, register(urls, slot=6, timeout=2.0), clock=clock) as prober:
            await prober.sink.until(lambda rows: len(rows) > 3)
            clock.ahead = 6.0 - wall_time() % 6 + 5.0  # far into the next slot, where every launch is due by 4 s
            rows = await prober.sink.until(lambda rows: any(row.reason is Reason.SHED for row in rows))
    assert any("too late" in row.detail for row in rows if row.reason is Reason.SHED)


def _slow(url: str) -> Register:
    return register({"link": url}, slot=6, timeout=2.5)


async def test_overrun(tmp_path: Path) -> None:
    """A probe that has not finished when its slot ends is UNKNOWN/OVERRUN."""
    clock = Clock()
    async with serving(forever) as hung, running(tmp_path, _slow(hung.url()), clock=clock) as prober:
        await hung.reaches(1)
        clock.ahead = 6.0
        await prober.sink.until(lambda rows: any(row.reason is Reason.OVERRUN for row in rows))
        assert prober.sample("peyvand_probe_overruns_total") == 1


async def test_35_a_failing_control_target_blinds_the_vantage(tmp_path: Path, port: Callable[[], int]) -> None:
    """While a control target fails, everything is UNKNOWN/VANTAGE_BLIND, also what was OK; then it is known again."""
    async with serving(says()) as server:
        control = port()
        first = register({"link": server.url()}, control=(f"tcp://127.0.0.1:{control}", server.url("/control")))
        async with running(tmp_path, first) as prober:
            rows = await prober.sink.until(lambda rows: len(rows) >= 2)
            assert {row.reason for row in rows} == {Reason.VANTAGE_BLIND}
            assert prober.sample("peyvand_vantage_blind", vantage="north") == 1
            listener = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", control)
            async with listener:
                rows = await prober.sink.until(lambda rows: any(row.reason is Reason.OK for row in rows))
                assert prober.sample("peyvand_vantage_blind", vantage="north") == 0


async def test_35_a_proxy_that_lost_its_way_out_blinds_the_vantage(tmp_path: Path, port: Callable[[], int]) -> None:
    """A proxy's answer about a target counts only while the proxy reaches the control target, which is checked over it."""
    gone = f"http://127.0.0.1:{port()}"
    async with proxying() as proxy, serving(says()) as server:
        first = register({"link": f"{gone}/", "up": server.url()}, control=(f"{gone}/control",))
        over = {name: replace(probe, proxy=Proxy(proxy.url)) for name, probe in first.probes.items()}
        async with running(tmp_path, replace(first, probes=over)) as prober:
            rows = await prober.sink.until(lambda rows: len({row.target for row in rows}) == 2)
            assert {row.reason for row in rows} == {Reason.VANTAGE_BLIND}
            policy = replace(first.policy, vantages=(Vantage("north", (server.url("/control"),)),))
            await prober.prober.adopt(replace(first, probes=over, policy=policy))
            known = await prober.sink.until(
                lambda rows: {row.reason for row in rows} > {Reason.VANTAGE_BLIND, Reason.OK}
            )
    assert {row.target.id for row in known if row.reason is Reason.SERVER_ERROR} == {"link"}
    assert any("/control" in line for line in proxy.lines)


async def test_any_answer_of_a_control_target_will_do(tmp_path: Path) -> None:
    """A control target that answers 500 still shows that the vantage sees."""
    async with serving(says()) as server, serving(says(500)) as control:
        first = register({"link": server.url()}, control=(control.url(),))
        async with running(tmp_path, first) as prober:
            rows = await prober.sink.until(bool)
    assert {row.reason for row in rows} == {Reason.OK}


async def test_38_a_new_register_loses_and_doubles_no_slot(tmp_path: Path) -> None:
    """When the register changes in mid-slot, every whole slot of a link that stays has one measurement."""
    async with serving(says()) as server:
        urls = {f"link-{number}": server.url() for number in range(20)}
        first = register(urls)
        async with running(tmp_path, first) as prober:
            for version in ("r2", "r3", "r4"):
                known = len(prober.sink.rows)
                await prober.sink.until(lambda rows, known=known: len(rows) > known + 12)  # type: ignore[misc]
                await prober.prober.adopt(replace(first, register_version=version))
            rows = await prober.sink.until(lambda rows: len({row.slot_start for row in rows}) >= 5)
    whole = sorted({row.slot_start for row in rows})[1:4]
    for name in urls:
        counts = slots(rows, name)
        assert [counts[slot] for slot in whole] == [1, 1, 1]
    assert {row.register_version for row in rows} >= {"r1", "r2", "r3", "r4"}


async def test_links_that_are_not_probed(tmp_path: Path) -> None:
    """Absent links, links of other vantages and links outside their days are left alone; endpoints are probed."""
    async with serving(says()) as server:
        made = register({name: server.url() for name in ("here", "absent", "south", "past", "future")})
        changes: dict[str, dict[str, object]] = {
            "absent": {"live_from": None, "probe": "", "target": ""},
            "south": {"vantages": ("south",)},
            "past": {"required_until": date(2026, 2, 1)},
            "future": {"live_from": date(2999, 1, 1)},
        }
        links = {name: replace(link, **changes.get(name, {})) for name, link in made.links.items()}  # type: ignore[arg-type]
        portal = Endpoint("portal", "b", None, "page", server.url("/portal"))
        first = replace(made, links=links, endpoints={"portal": portal})
        async with running(tmp_path, first) as prober:
            rows = await prober.sink.until(lambda rows: len({row.slot_start for row in rows}) >= 3)
            assert prober.sample("peyvand_probe_targets", kind="endpoint") == 1
    assert {(row.target.id, row.target.endpoint) for row in rows} == {("here", False), ("portal", True)}


async def test_measured_while_the_bus_is_down(tmp_path: Path) -> None:
    """While the bus is down measurements gather in the spool; when it is back they arrive, oldest first, none missing."""
    async with serving(says()) as server, running(tmp_path, register({"link": server.url()})) as prober:
        prober.sink.connected = False
        async with asyncio.timeout(60):
            while (prober.sample("peyvand_spool_batches") or 0) < 2:
                await server.reaches(server.connections + 1)
        waiting = sum(batch.rows for batch in prober.spool.pending)
        prober.sink.connected = True
        rows = await prober.sink.until(lambda rows: len(rows) >= waiting)
    starts = [row.slot_start for row in rows]
    assert starts == sorted(starts)
    assert all(count == 1 for count in slots(rows, "link").values())


def half_run_slot() -> int:
    """Return a slot length by which the current slot is neither young nor near its end, at any time of day."""
    return next(length for length in range(50_000, 100_000, 997) if 0.2 < wall_time() % length / length < 0.7)


def passed_name(slot: int) -> str:
    """Return the id of a link whose phase in the current slot has passed: it is probed at once."""
    names = (f"link-{number}" for number in itertools.count())
    return next(name for name in names if target_phase(Target(name)) * slot < wall_time() % slot - 1)


async def test_stopping_finishes_probes_under_way(tmp_path: Path) -> None:
    """A stop cancels probes that take too long, as UNKNOWN, and publishes everything."""
    slot = half_run_slot()
    async with serving(forever) as hung:
        name = passed_name(slot)
        async with running(tmp_path, register({name: hung.url()}, slot=slot, timeout=30.0)) as prober:
            await hung.reaches(1)
        assert [(row.target.id, row.reason) for row in prober.sink.rows] == [(name, Reason.PROBER_ERROR)]
        assert not prober.spool.pending


async def test_series_per_target(tmp_path: Path) -> None:
    """A small prober exposes the series that dashboards of blackbox_exporter read, with link labels, and its counters."""
    async with serving(says()) as server, serving(says(503)) as broken:
        first = register({"good": server.url(), "bad": broken.url()})
        async with running(tmp_path, first) as prober:
            assert prober.sample("peyvand_probe_outcomes_total", outcome="stale") == 0
            assert prober.sample("probe_success", target="good", consumer="a", provider="b") is None
            await prober.sink.until(lambda rows: {row.target.id for row in rows} == {"good", "bad"})
            for name, success, status in (("good", 1, 200), ("bad", 0, 503)):
                labels = {"target": name, "consumer": "a", "provider": "b"}
                assert prober.sample("probe_success", **labels) == success
                assert prober.sample("probe_http_status_code", **labels) == status
                assert prober.sample("probe_duration_seconds", **labels)
                assert prober.sample("probe_http_duration_seconds", **labels, phase="connect")
                assert prober.sample("probe_http_duration_seconds", **labels, phase="tls") is None


async def test_a_vantage_the_register_does_not_know(tmp_path: Path) -> None:
    """A vantage that is not in the policy is refused with a message."""
    made = RunningProber(tmp_path, Clock())
    made.prober._settings = Settings(vantage="west")
    with pytest.raises(SettingsError, match="west is not in the register's policy"):
        await made.prober.adopt(register({}))
    await made.close()


async def test_prepared_targets_are_kept_from_the_collector(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After each slot in which a record has its first turn, the targets prepared for it are frozen. Probing may begin later."""
    delays = []
    monkeypatch.setattr(asyncio.get_running_loop(), "call_later", lambda delay, _act: delays.append(delay))
    made = RunningProber(tmp_path, Clock())
    three = register({"link": "http://127.0.0.1:9/"}, params=({"a": 1}, {"a": 2}, {"a": 3}))
    plan = plan_of(three, "north", "p1")
    made.prober._keep_from_collector(plan)
    assert delays == [2.5, 4.5, 6.5]
    made.prober._clock = lambda: plan.epoch - 100.0
    made.prober._keep_from_collector(plan)
    assert delays[3:] == [102.5, 104.5, 106.5]
    monkeypatch.undo()
    await made.close()


async def test_stalls_are_remembered_until_answers_are_judged(tmp_path: Path) -> None:
    """A stall during a probe counts after the ten seconds that starting a process to judge its answer may take."""
    made = RunningProber(tmp_path, Clock())
    made.prober.control_loop.first_round.set()
    await made.prober.adopt(register({}))
    made.launcher.stop_launching()
    stalls = LoopStalls(made.prober._stalls.remembered)
    stalls.tick(0.0)
    stalls.tick(1.0)
    stalls.rest()
    stalls.tick(13.0)
    assert stalls.seconds(0.0, 13.0) == pytest.approx(0.95)
    await made.close()


@pytest.mark.parametrize("target", ["http://10.0.0.256/", "http://xn--a/"])
async def test_control_targets_that_cannot_be_asked(tmp_path: Path, target: str) -> None:
    """A register whose control targets cannot be checked is not adopted, and the previous one stays in use."""
    made = RunningProber(tmp_path, Clock())
    made.prober.control_loop.first_round.set()
    first = register({})
    await made.prober.adopt(first)
    egress = made.environment.outbound.egress
    policy = replace(first.policy, egress=Egress(), vantages=(Vantage("north", (target,)),))
    with pytest.raises(SettingsError, match="the control targets of vantage north cannot be checked"):
        await made.prober.adopt(replace(first, policy=policy, register_version="r2"))
    assert made.launcher.origin is not None
    assert made.launcher.origin.register_version == "r1"
    assert made.environment.outbound.egress is egress
    made.launcher.stop_launching()
    await made.close()


async def test_the_scheme_of_a_control_target_is_case_insensitive(tmp_path: Path) -> None:
    """A server that accepts connections and sends nothing passes as TCP://, which requires no more."""
    async with serving(forever) as silent, serving(says()) as server:
        first = register({"link": server.url()}, control=(f"TCP://127.0.0.1:{silent.port}",))
        async with running(tmp_path, first) as prober:
            rows = await prober.sink.until(bool)
    assert {row.reason for row in rows} == {Reason.OK}
