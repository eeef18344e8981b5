"""Probe kind journey against a real site with sessions, forms and tokens."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from services.core.model.outcome import Outcome, Reason
from services.core.model.probe import (
    Expect,
    FreshnessSource,
    JsonExpectation,
    Probe,
    Step,
)
from services.prober.kinds import KINDS_BY_NAME, journey
from services.prober.kinds.kind import ProbeEnvironment, ProbeKind
from services.prober.observation import Observation
from services.prober.transport.addresses import Outbound
from services.prober.transport.egress import EgressRules
from tests.support.cases.probes.journey import ASK, LOGIN, a_step, paths, site, travel
from tests.support.patient_loop import monotonic, takes
from tests.support.servers.grpc_server import CALL, descriptor_set, grpc_serving
from tests.support.servers.http_server import LOOPBACK, Request, answer, forever, serving

PAPER = a_step(
    "paper", "${target}/paper/${code}", expect=Expect(json=(JsonExpectation("$.order", equals="${number}"),))
)


async def test_06_a_service_from_start_to_end() -> None:
    """Cookies, also those set before a redirect, and captured values of every sort take a journey to its end."""
    async with serving(site) as server:
        result = await travel(server.url(""), LOGIN, ASK, PAPER)
    seen = result.observation
    assert result.judgement.reason is Reason.OK
    assert paths(server) == ["/login", "/home", "/ask", "/paper/p-1"]
    assert [step.name for step in seen.steps] == ["login", "ask", "paper"]
    assert (seen.status, seen.redirects, seen.addresses) == (200, 1, ("127.0.0.1",))
    assert seen.protocol == "HTTP/1.1"


async def test_06_a_cookie_outside_ascii_is_kept() -> None:
    """A cookie in UTF-8 that a redirect or a page sets is sent over the redirect and by the next step."""

    async def handle(request: Request, writer: asyncio.StreamWriter) -> None:
        if request.path == "/login":
            writer.write(answer(302, b"", {"Location": "/home", "Set-Cookie": "city=تهران; Path=/"}))
        else:
            writer.write(answer(200, b"", {"Set-Cookie": "name=مریم; Path=/"}))

    async with serving(handle) as server:
        result = await travel(server.url(""), a_step("login", "${target}/login"), a_step("home", "${target}/home"))
    assert result.judgement.reason is Reason.OK
    sent = [(request.header("cookie") or "").encode("latin-1").decode() for request in server.requests]
    assert sent == ["", "city=تهران", "city=تهران; name=مریم"]


async def test_times_add_up() -> None:
    """Latency and phases are the sums of the steps', a phase no step had is missing, and judging is not in them."""
    async with serving(site) as server:
        seen = (await travel(server.url(""), LOGIN, ASK, PAPER)).observation
    steps = [step.observation for step in seen.steps]
    assert seen.latency == pytest.approx(sum(step.latency or 0.0 for step in steps))
    assert seen.phases.connect == pytest.approx(sum(step.phases.connect or 0.0 for step in steps))
    assert seen.phases.processing == pytest.approx(sum(step.phases.processing or 0.0 for step in steps))
    assert (seen.phases.resolve, seen.phases.tls) == (None, None)
    assert seen.latency is not None
    assert seen.duration > seen.latency


async def test_it_stops_at_the_first_step_that_fails() -> None:
    """A failed step ends the journey with its own reason and name; later steps are not taken; there is no latency."""
    async with serving(site) as server:
        result = await travel(server.url(""), a_step("lost", "${target}/lost"), LOGIN)
    assert (result.judgement.outcome, result.judgement.reason) == (Outcome.NOT_ANSWERED, Reason.AUTH_REFUSED)
    assert result.judgement.detail == "step lost: status 403"
    assert paths(server) == ["/lost"]
    assert result.observation.latency is None
    assert result.observation.status == 403


async def test_a_status_that_a_step_expects_is_no_failure() -> None:
    """The expectations of the last step decide, whatever its answer alone would mean."""
    async with serving(site) as server:
        result = await travel(server.url(""), a_step("lost", "${target}/lost", expect=Expect(status=(403,))))
    assert result.judgement.reason is Reason.OK


@pytest.mark.parametrize(("whole", "step"), [(0.3, 3.0), (3.0, 0.3)])
async def test_31_a_journey_ends_in_time(whole: float, step: float) -> None:
    """A step that hangs ends with the journey's deadline or its own timeout, whichever is first."""
    async with serving(site) as server, serving(forever) as hung:
        hang = a_step("hang", hung.url(), timeout=step)
        result = await takes(0.3, travel(server.url(""), LOGIN, hang, timeout=whole))
    assert (result.judgement.outcome, result.judgement.reason) == (Outcome.NOT_ANSWERED, Reason.ANSWER_TIMEOUT)
    assert result.judgement.detail.startswith("step hang: ")


async def _answers_at_the_last(_: object, deadline: float) -> Observation:
    while (left := deadline - monotonic()) > 0:  # noqa: ASYNC110  # timers of the loop may come early
        await asyncio.sleep(left)
    return Observation(time=0.0, duration=1.0)


async def test_31_a_step_that_uses_up_the_time_leaves_a_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a step that answers in the last moment the next one times out by itself, since judging took no time."""
    monkeypatch.setattr(journey, "perf_counter", lambda: 0.0)
    slow = ProbeKind(lambda *_: None, _answers_at_the_last)
    steps = Step(Probe("slow", "tcp", timeout=1.0), "tcp://127.0.0.1:1"), a_step("late", "${target}/free", timeout=1.0)
    definition = Probe("test", "journey", steps=steps, timeout=1.0)
    environment = ProbeEnvironment(Outbound(egress=EgressRules(LOOPBACK)))
    async with serving(site) as server:
        target = journey.prepare({**KINDS_BY_NAME, "tcp": slow}, definition, server.url(""), {}, environment)
        result = await journey.probe(target, monotonic() + 0.3)
    await environment.close()
    assert [step.name for step in result.observation.steps] == ["slow", "late"]
    failure = result.observation.steps[1].observation.failure
    assert failure is not None
    assert failure.timed_out
    assert server.requests == []


async def test_late_and_stale_are_of_the_whole() -> None:
    """The journey is late by the sum of its steps, and stale by the oldest data in any step."""
    fresh = a_step("paper", "${target}/paper/p-1", expect=Expect(fresh=FreshnessSource(path="$.updated")))
    async with serving(site) as server:
        late = await travel(server.url(""), LOGIN, ASK, latency=1e-6)
        stale = await travel(server.url(""), LOGIN, fresh, a_step("free", "${target}/free"), max_age=60)
        known = await travel(server.url(""), LOGIN, fresh)
    assert late.judgement.reason is Reason.LATE
    assert stale.judgement.reason is Reason.STALE
    assert known.judgement.reason is Reason.OK
    assert known.judgement.data_age is not None
    assert known.judgement.data_age > 1_000_000


async def test_a_step_that_is_always_taken() -> None:
    """After a failure only cleanup steps are taken, if what they need was captured; they do not change the result."""
    clean = replace(a_step("clean", "${target}/free"), always=True)
    impossible = replace(a_step("impossible", "${target}/free?code=${code}"), always=True)
    broken = replace(a_step("broken", "${target}/lost"), always=True)
    async with serving(site) as server:
        failed = await travel(server.url(""), LOGIN, a_step("lost", "${target}/lost"), ASK, impossible, broken, clean)
        assert paths(server) == ["/login", "/home", "/lost", "/lost", "/free"]
        assert failed.judgement.detail == "step lost: status 403"
        assert [step.name for step in failed.observation.steps] == ["login", "lost"]
        good = await travel(server.url(""), LOGIN, clean)
    assert good.judgement.reason is Reason.OK
    assert [step.name for step in good.observation.steps] == ["login", "clean"]


async def test_steps_that_are_always_taken_follow_our_own_fault(tmp_path: Path) -> None:
    """A step that cannot be made as defined is our own fault, and the cleanup steps follow it."""
    clean = replace(a_step("clean", "${target}/free"), always=True)
    descriptors = descriptor_set(tmp_path / "set.pb")
    async with serving(site) as server, grpc_serving() as mute:
        wrong = Step(
            Probe("wrong", "grpc", call=CALL, descriptors=descriptors, body="no JSON", timeout=3.0), mute.target
        )
        result = await travel(server.url(""), LOGIN, wrong, clean)
        assert result.judgement.reason is Reason.PROBER_ERROR
        assert paths(server) == ["/login", "/home", "/free"]


async def test_steps_that_are_always_taken_follow_a_crash() -> None:
    """A step whose code crashes is our own fault as well: the error is raised after the cleanup steps."""

    async def crashes(*_: object) -> Observation:
        raise RuntimeError("a bug of ours")

    broken = ProbeKind(lambda *_: None, crashes)
    steps = Step(Probe("broken", "tcp"), "tcp://127.0.0.1:1"), replace(a_step("clean", "${target}/free"), always=True)
    environment = ProbeEnvironment(Outbound(egress=EgressRules(LOOPBACK)))
    async with serving(site) as server:
        definition = Probe("test", "journey", steps=steps)
        target = journey.prepare({**KINDS_BY_NAME, "tcp": broken}, definition, server.url(""), {}, environment)
        with pytest.raises(RuntimeError, match="a bug of ours"):
            await journey.probe(target, monotonic() + 3.0)
        assert paths(server) == ["/free"]
    await environment.close()


async def test_a_clean_up_that_is_impossible_changes_nothing(tmp_path: Path) -> None:
    """A cleanup step that cannot be built or made leaves the failure as it was, and the next one is still taken."""
    descriptors = descriptor_set(tmp_path / "set.pb")
    clean = replace(a_step("clean", "${target}/free"), always=True)
    async with serving(site) as server, grpc_serving() as mute:
        for definition in ({"descriptors": descriptors, "body": "no JSON"}, {}):
            hopeless = Step(Probe("hopeless", "grpc", call=CALL, timeout=3.0, **definition), mute.target, always=True)  # type: ignore[arg-type]
            result = await travel(server.url(""), a_step("lost", "${target}/lost"), hopeless, clean)
            assert (result.judgement.reason, result.judgement.detail) == (Reason.AUTH_REFUSED, "step lost: status 403")
            assert paths(server)[-1] == "/free"
