"""The sandbox serves while it draws exchanges, which takes seconds where a slot has minutes."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from prometheus_client import CollectorRegistry

from services.core.log import logger
from services.core.runtime import Runtime
from services.core.settings import Settings
from services.sandbox.component import main
from services.sandbox.exchanges.traffic import SimulatedTraffic
from services.sandbox.faults.faults import FaultMode, FaultScope
from services.sandbox.faults.timeline import FaultSpan
from services.sandbox.logs.exchange_log import ExchangeLog
from services.sandbox.scenario.scenario import make_scenario
from services.sandbox.servers.replies import page_reply
from services.sandbox.servers.servers import Servers, Site
from services.sandbox.timing import slot_timing
from tests.support.patient_loop import wall_time
from tests.support.servers.sandbox_client import ask
from tests.support.waiting import DEADLINE, eventually

TIMES = slot_timing(2)


async def test_servers_answer_while_exchanges_are_drawn(tmp_path, base_port, monkeypatch):
    """Drawing begins while servers answer, and the sandbox is ready only once the exchanges are written."""
    answered = threading.Event()
    drawn = []
    draw = SimulatedTraffic._draw

    def wait_for_answer(self, slot):
        drawn.append(slot)
        assert answered.wait(DEADLINE), "nothing is answered while exchanges are drawn"
        return draw(self, slot)

    monkeypatch.setattr(SimulatedTraffic, "_draw", wait_for_answer)
    port = base_port()
    runtime = Runtime(
        Settings(data=tmp_path, slot=TIMES.slot, base_port=port), CollectorRegistry(), logger(), asyncio.Event()
    )
    playing = asyncio.create_task(main(runtime, wall_time))
    await eventually(lambda: drawn, "exchanges are drawn")
    target = make_scenario("small", seed=1, base_port=port, times=TIMES).control_target
    assert (await ask(target, seconds=DEADLINE)).status == 200
    assert not runtime.health.is_serving
    answered.set()
    await eventually(lambda: runtime.health.is_serving, "the sandbox is ready")
    assert (tmp_path / "exchanges.ndjson").stat().st_size > 0
    runtime.stop.set()
    await playing


async def test_a_site_may_have_its_replies_made_in_a_thread(base_port):
    """A security server may have to draw exchanges again for an answer."""
    threads = []

    def reply(span, request):
        threads.append(threading.current_thread().name)
        return page_reply("drawn", span, request)

    port = base_port()
    with ThreadPoolExecutor(1, "drawing") as executor:
        site = Site("server", "127.0.0.1", port, reply, executor=executor)
        async with Servers([site], TIMES, clock=wall_time, answered=lambda *_: None, failed=lambda *_: None):
            seen = await ask(f"http://127.0.0.1:{port}/", seconds=DEADLINE)
    assert (seen.end, seen.status) == ("answered", 200)
    assert threads == ["drawing_0"]


@pytest.mark.parametrize("mode", [None, FaultMode.SLOW])
@pytest.mark.parametrize("in_thread", [False, True])
async def test_a_reply_that_cannot_be_made_closes_its_connection(base_port, mode, in_thread):
    """The client need not wait until the connection expires. The error is reported once, and left to no event loop."""
    failed, unhandled = [], []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: unhandled.append(context))

    def reply(_span, _request):
        raise ValueError("no such record")

    port = base_port()
    with ThreadPoolExecutor(1, "drawing") as executor:
        site = Site("server", "127.0.0.1", port, reply, executor=executor if in_thread else None)
        servers = Servers(
            [site],
            TIMES,
            clock=wall_time,
            answered=lambda *_: pytest.fail("a reply was reported"),
            failed=lambda name, error: failed.append((name, str(error))),
        )
        async with servers:
            servers.follow(lambda _: {"server": FaultSpan("server", 0, 1, mode, FaultScope.LINK, 0)} if mode else {})
            seen = await ask(f"http://127.0.0.1:{port}/", seconds=DEADLINE)
    assert (seen.end, failed, unhandled) == ("closed", [("server", "no such record")], [])


async def test_what_is_being_drawn_is_written_before_the_sandbox_ends(tmp_path, base_port, monkeypatch):
    """A sandbox that is cancelled waits for the thread, so that it does not write to a closed file."""
    drawn, go = threading.Event(), threading.Event()
    draw, close = SimulatedTraffic._draw, ExchangeLog.close

    def wait(self, slot):
        drawn.set()
        assert go.wait(DEADLINE)
        return draw(self, slot)

    def close_first(self):
        close(self)
        go.set()

    monkeypatch.setattr(SimulatedTraffic, "_draw", wait)
    monkeypatch.setattr(ExchangeLog, "close", close_first)
    settings = Settings(data=tmp_path, slot=TIMES.slot, base_port=base_port())
    playing = asyncio.create_task(main(Runtime(settings, CollectorRegistry(), logger(), asyncio.Event()), wall_time))
    await eventually(drawn.is_set, "exchanges are drawn")
    playing.cancel()
    asyncio.get_running_loop().call_soon(go.set)
    with pytest.raises(asyncio.CancelledError):
        await playing
    assert (tmp_path / "exchanges.ndjson").stat().st_size > 0
