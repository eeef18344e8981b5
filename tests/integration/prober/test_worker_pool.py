"""Answers that take long to judge (docs/probing.md §5, behaviours 31 and 36)."""

from __future__ import annotations

import asyncio
import pickle
import signal
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from math import inf
from typing import Any, cast

import pytest
import structlog

from services.core.model.outcome import Outcome, Reason
from services.core.model.probe import Capture, Expect, FreshnessSource, JsonExpectation, Probe, Step, XmlExpectation
from services.prober.attempt import ProbeResult, ProbeRunner
from services.prober.checks import TooCostlyError, worker_pool, worker_process
from services.prober.kinds.kind import ProbeEnvironment
from services.prober.transport.addresses import Outbound
from services.prober.transport.egress import EgressRules
from tests.support.patient_loop import monotonic, takes
from tests.support.servers.http_server import LOOPBACK, Request, answer, ask, assignment, forever, says, serving

SOON_SECONDS = 20.0  # the endless judgement takes longer, even on an idle machine
TIMEOUT = 30.0  # a worker process may take seconds to start

MANY = b"<r>%s</r>" % b"".join(b'<a b="%d"/>' % number for number in range(30_000))
# Compares each of 30,000 elements with all before it: about half a minute.
ENDLESS = Expect(xml=(XmlExpectation("//a[not(@b = preceding::a/@b)]"),))
LARGE = b"<r>%s<last>1403</last></r>" % (b"<a>1</a>" * 10_000)


@asynccontextmanager
async def _environment() -> AsyncIterator[ProbeEnvironment]:
    environment = ProbeEnvironment(Outbound(egress=EgressRules(LOOPBACK)))
    try:
        yield environment
    finally:
        await environment.close()


async def _travel(environment: ProbeEnvironment, target: str, *steps: Step, timeout: float = TIMEOUT) -> ProbeResult:
    item = assignment(target, Probe("test", "journey", steps=steps, timeout=timeout))
    return await ProbeRunner(environment, structlog.get_logger()).probe(item)


def _step(name: str, expect: Expect | None = None, *, path: str = "/", **capture: Capture) -> Step:
    return Step(Probe(name, "http", expect=expect or Expect(), timeout=TIMEOUT), "${target}" + path, capture)


@pytest.fixture(autouse=True)
def _little_processor_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let so little processor time count as far above usual that even a busy machine gives it within a probe's time."""
    monkeypatch.setattr(worker_pool, "far_above_usual", lambda _: 0.02)


@pytest.fixture
def _a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give a judgement at least a second instead of two. One without an end takes all of it."""
    monkeypatch.setattr(worker_pool, "_MIN_SECONDS", 1.0)


@pytest.mark.parametrize(
    ("far_above", "outcome", "reason", "word"),
    [
        (0.02, Outcome.INVALID, Reason.CHECK_ERROR, "of processor time"),
        (inf, Outcome.UNKNOWN, Reason.PROBER_ERROR, "could not be judged in the time of the probe"),
    ],
)
@pytest.mark.usefixtures("_a_second")
async def test_31_an_answer_that_cannot_be_judged_in_time_ends_its_probe(
    far_above: float, outcome: Outcome, reason: Reason, word: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The probe ends soon after the deadline, with what it observed. It is the target's fault if judging took far more
    processor time than usual, and ours if there was not that much.
    """
    monkeypatch.setattr(worker_pool, "far_above_usual", lambda _: far_above)
    async with serving(says(body=MANY)) as server, asyncio.timeout(SOON_SECONDS):
        result = await ask(server.url(), ENDLESS, timeout=1.0)
    assert (result.judgement.outcome, result.judgement.reason) == (outcome, reason)
    assert word in result.judgement.detail
    assert (result.observation.status, result.observation.body_length) == (200, len(MANY))


async def test_an_answer_that_takes_too_much_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """A call that needs more memory than any may have fails, as the fault of the answer, and its worker continues."""
    async with _environment() as environment:
        calls = environment.workers
        with pytest.raises(TooCostlyError, match="memory"):
            await calls.call(cast("Any", bytes), (1 << 40,), 0.0, "b")
        assert await calls.call(dict, (), 0.0, "b") == {"body": b""}


@pytest.mark.usefixtures("_a_second")
async def test_36_an_answer_that_takes_long_to_judge_delays_no_other() -> None:
    """While an answer is judged, other targets are probed and OK, as quickly as ever, and no timeout is missed."""
    async with (
        _environment() as environment,
        serving(says(body=MANY)) as hostile,
        serving(says()) as healthy,
        serving(forever) as hung,
    ):
        judged = asyncio.create_task(ask(hostile.url(), ENDLESS, timeout=1.5, environment=environment))
        silent = asyncio.create_task(takes(1.0, ask(hung.url(), timeout=1.0, environment=environment)))
        seen, slowest = [], 0.0
        while not judged.done():
            began = monotonic()
            seen.append((await ask(healthy.url(), environment=environment)).judgement.reason)
            slowest = max(slowest, monotonic() - began)
            await asyncio.sleep(0.02)
        late = await silent
    assert judged.result().judgement.reason is Reason.CHECK_ERROR
    assert set(seen) == {Reason.OK}
    assert len(seen) > 10
    assert slowest < 1.0
    assert late.judgement.reason is Reason.ANSWER_TIMEOUT


async def test_31_items_are_held_to_be_unique_in_no_time() -> None:
    """A list of thousands of objects is judged by `uniqueItems` within the probe's time."""
    body = b"[%s]" % b",".join(b'{"a":%d}' % number for number in range(20_000))
    schema = {"type": "array", "uniqueItems": True}
    async with serving(says(body=body)) as server:
        result = await ask(server.url(), Expect(schema=schema), timeout=TIMEOUT)
    assert result.judgement.reason is Reason.OK


@pytest.mark.parametrize(
    ("expect", "reason"),
    [
        (Expect(xml=(XmlExpectation("//last", "۱۴۰۳"),)), Reason.OK),
        (Expect(xml=(XmlExpectation("//last", "1404"),)), Reason.XML),
        (Expect(xml=(XmlExpectation("//none"),)), Reason.XML),
        (Expect(json=(JsonExpectation("$..last"),)), Reason.JSON),
        (Expect(schema={"type": "object"}), Reason.JSON),
        (Expect(fresh=FreshnessSource(xpath="//none")), Reason.AGE_UNREADABLE),
        (Expect(status=(201,), xml=(XmlExpectation("//last"),)), Reason.STATUS),
    ],
)
async def test_large_answers_are_judged_as_small_ones_are(expect: Expect, reason: Reason) -> None:
    """A large answer has the same reason as a small one."""
    small = b"<r><a>1</a><last>1403</last></r>"
    async with _environment() as environment, serving(says(body=LARGE)) as large, serving(says(body=small)) as little:
        seen = [await ask(server.url(), expect, timeout=TIMEOUT, environment=environment) for server in (large, little)]
        assert environment.workers._idle
    assert [item.judgement.reason for item in seen] == [reason, reason]
    assert seen[0].judgement.detail == seen[1].judgement.detail


async def test_small_answers_need_no_process() -> None:
    """Ordinary expectations of an ordinary answer start no process."""
    expect = Expect(xml=(XmlExpectation("//a", "1"), XmlExpectation("/r/b[@c = 'x']")))
    async with _environment() as environment, serving(says(body=b'<r><a>1</a><b c="x"/></r>')) as server:
        assert (await ask(server.url(), expect, environment=environment)).judgement.reason is Reason.OK
        assert not environment.workers._idle


@pytest.mark.usefixtures("_a_second")
async def test_a_process_that_ended_is_replaced() -> None:
    """A worker that dies while idle, or is ended for taking too long, fails no later probe; none is left over."""
    right = Expect(xml=(XmlExpectation("//last"),))
    async with _environment() as environment, serving(says(body=LARGE)) as large, serving(says(body=MANY)) as hostile:
        assert (await ask(large.url(), right, timeout=TIMEOUT, environment=environment)).judgement.reason is Reason.OK
        (first,) = environment.workers._idle
        first.kill()
        await first.wait()
        assert (await ask(large.url(), right, timeout=TIMEOUT, environment=environment)).judgement.reason is Reason.OK
        (second,) = environment.workers._idle
        late = await ask(hostile.url(), ENDLESS, timeout=0.5, environment=environment)
        assert late.judgement.reason is Reason.CHECK_ERROR
        assert second.returncode is not None
        assert (await ask(large.url(), right, timeout=TIMEOUT, environment=environment)).judgement.reason is Reason.OK
        (third,) = environment.workers._idle
    assert third.returncode is not None


async def test_steps_capture_from_large_answers() -> None:
    """A capture from a large answer runs in a worker, with the same result."""
    async with _environment() as environment, serving(says(body=LARGE)) as server:
        found = await _travel(
            environment, server.url(""), _step("take", year=Capture(xpath="//last")), _step("use", path="/${year}")
        )
        nothing = await _travel(
            environment, server.url(""), _step("take", year=Capture(xpath="//none")), _step("use", path="/${year}")
        )
        assert environment.workers._idle
    assert found.judgement.reason is Reason.OK
    assert [request.path for request in server.requests] == ["/", "/1403", "/"]
    assert nothing.judgement.reason is Reason.CAPTURE
    assert nothing.judgement.detail.endswith("nothing was found")


@pytest.mark.parametrize("far_above", [0.02, inf])
@pytest.mark.parametrize(
    ("first", "reason"),
    [
        (_step("take", ENDLESS), Reason.CHECK_ERROR),
        (_step("take", x=Capture(xpath="//a[not(@b = preceding::a/@b)][@b < 0]")), Reason.CAPTURE),
    ],
)
@pytest.mark.usefixtures("_a_second")
async def test_31_a_journey_ends_where_a_step_cannot_be_judged(
    first: Step, reason: Reason, far_above: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A step whose answer is not judged or captured in time ends the journey. It is the target's fault if that took far
    more processor time than usual, else UNKNOWN; it is never OK.
    """
    monkeypatch.setattr(worker_pool, "far_above_usual", lambda _: far_above)
    async with _environment() as environment, serving(says(body=MANY)) as server, asyncio.timeout(SOON_SECONDS):
        result = await _travel(environment, server.url(""), first, _step("later"), timeout=1.0)
    assert result.judgement.reason is (Reason.PROBER_ERROR if far_above == inf else reason)
    assert ("step take" in result.judgement.detail) is (far_above < inf)
    assert len(server.requests) == 1


@pytest.mark.parametrize(("busy", "asked"), [(0.3, 1), (1.3, 0)])
async def test_judging_is_not_charged_to_the_next_step(
    monkeypatch: pytest.MonkeyPatch, busy: float, asked: int
) -> None:
    """A step that times out after a long judgement, or has no time left, makes the journey UNKNOWN."""
    judged, hung = _step("judged", Expect(xml=(XmlExpectation("//last"),))), _step("hung", path="/hung")

    async def handle(request: Request, writer: asyncio.StreamWriter) -> None:
        if request.path == "/hung":
            await forever(request, writer)
        writer.write(answer(200, LARGE))

    async def run_here(_: Process, call: bytes, _seconds: float) -> object:
        function, arguments = pickle.loads(call)
        return cast("object", function(*arguments))

    monkeypatch.setattr(worker_pool, "call_worker", run_here)  # takes no time on this loop's clock
    async with _environment() as environment, serving(handle) as server, AsyncExitStack() as others:
        environment.workers._idle.append(await worker_process.start_worker())  # starting one takes time
        for _ in range(4):
            await others.enter_async_context(environment.workers._room)
        journey = asyncio.create_task(_travel(environment, server.url(""), judged, hung, timeout=1.2))
        await server.reaches(1)
        await asyncio.sleep(busy)
        await others.aclose()
        result = await journey
    assert result.judgement.reason is Reason.PROBER_ERROR
    assert "of the time that step hung had left" in result.judgement.detail
    assert len(server.requests) == 1 + asked


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGINT])
async def test_a_signal_to_all_processes_of_the_prober_leaves_a_judgement_alone(number: signal.Signals) -> None:
    """A worker that gets a signal for the prober while it judges still judges, and is kept."""
    signalled = f"__import__('signal').raise_signal({number}) or {{'judged': True}}"
    async with _environment() as environment:
        result = await environment.workers.call(cast("Any", eval), (signalled,), monotonic() + TIMEOUT, "b")
        assert environment.workers._idle
    assert result["judged"]
