"""gRPC reflection, and definitions that cannot be called without it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from services.core.model.outcome import Outcome, Reason
from services.core.model.probe import Capture, Probe, Step
from services.prober.checks import WorkerPool
from tests.support.cases.probes.grpc_calls import descriptors, environment
from tests.support.cases.probes.journey import a_step, travel
from tests.support.patient_loop import takes
from tests.support.servers.grpc_server import CALL, SERVICE, descriptor_set, grpc_serving
from tests.support.servers.http_server import ask, says, serving, silent

__all__ = ["descriptors"]  # fixtures


@pytest.mark.parametrize("version", ["v1", "v1alpha"])
async def test_29_reflection_is_asked_outside_the_targets_time(version: str) -> None:
    """A server with reflection, present or former version, gets one request; the call's facts are its own."""
    way_out = environment()
    async with grpc_serving(reflects=version) as server:
        for _ in range(2):
            result = await ask(server.target, kind="grpc", call=CALL, body='{"link": "a"}', environment=way_out)
            assert result.judgement.reason is Reason.OK
            assert result.observation.addresses == ("127.0.0.1",)
        await way_out.close()
    assert [request.link for request in server.requests] == ["a", "a"]
    assert server.described == [version]


async def test_reflection_that_leaves_out_imports_is_asked_for_them() -> None:
    """A server that returns only the requested file gets requests for its imports, until all have arrived."""
    async with grpc_serving(reflects="v1", sparing=True) as server:
        result = await ask(server.target, kind="grpc", call=CALL, body='{"link": "a"}', timeout=30.0)
    assert result.judgement.reason is Reason.OK
    assert len(server.described) > 1


async def test_what_a_server_told_outlives_its_silence(port: object) -> None:
    """After five minutes reflection is repeated, after the call; without reflection the server is still called."""
    clock = [0.0]
    way_out = environment(clock)
    number = port()  # type: ignore[operator]

    async def call() -> Reason:
        result = await ask(f"grpc://127.0.0.1:{number}", kind="grpc", call=CALL, environment=way_out)
        return result.judgement.reason

    async with grpc_serving(reflects="v1", port=number) as server:
        assert await call() is Reason.OK
        clock[0] = 299
        assert await call() is Reason.OK
        assert len(server.described) == 1
        clock[0] = 301
        assert await call() is Reason.OK
        assert len(server.described) == 2
    async with grpc_serving(port=number) as server:
        clock[0] = 1000
        assert await call() is Reason.OK
        assert len(server.requests) == 1
    await way_out.close()


async def test_a_server_without_reflection_is_not_judged() -> None:
    """Without descriptors and reflection nothing can be called: UNKNOWN/PROBER_ERROR, with the remedy as its detail."""
    async with grpc_serving() as server:
        result = await ask(server.target, kind="grpc", call=CALL)
    assert (result.judgement.outcome, result.judgement.reason) == (Outcome.UNKNOWN, Reason.PROBER_ERROR)
    assert result.judgement.detail == "the server offers no reflection: give descriptors"


async def test_26_a_server_that_describes_itself_without_the_method() -> None:
    """A service or method that the server's own reflection does not know is UNIMPLEMENTED."""
    async with grpc_serving(reflects="v1") as server:
        for call in ("peyvand.v1.PensionService/Get", f"{SERVICE}/GetPension"):
            result = await ask(server.target, kind="grpc", call=call)
            assert (result.judgement.outcome, result.judgement.reason) == (Outcome.NOT_ANSWERED, Reason.UNIMPLEMENTED)


@pytest.mark.parametrize(
    ("definition", "detail"),
    [
        ({"call": f"{SERVICE}/GetPension"}, f"the descriptors have no method {SERVICE}/GetPension"),
        (
            {"call": f"{SERVICE}/WatchIndicators"},
            f"{SERVICE}/WatchIndicators is a streaming method: only unary ones can be probed",
        ),
        ({"body": '{"person": 1}'}, "the body is not JSON that fits peyvand.v1.GetLinkRequest: its field `person`"),
        (
            {"body": '{"window_days": "s3cr3t"}'},
            "the body is not JSON that fits peyvand.v1.GetLinkRequest: its field `window_days`",
        ),
        ({"body": "link=a"}, "the body is not JSON that fits peyvand.v1.GetLinkRequest"),
        ({"headers": {"grpc-timeout": "1S"}}, "the header grpc-timeout cannot go with a gRPC call"),
        ({"headers": {"X-Name": "علی"}}, "the header x-name holds what gRPC cannot send: only printable ASCII can go"),
    ],
)
async def test_a_definition_that_cannot_be_probed_says_why(
    definition: dict[str, object], detail: str, descriptors: str
) -> None:
    """A definition that the register accepts but that is unusable is UNKNOWN/PROBER_ERROR, without values."""
    async with grpc_serving() as server:
        result = await ask(server.target, kind="grpc", **{"call": CALL, "descriptors": descriptors, **definition})  # type: ignore[arg-type]
    assert (result.judgement.reason, result.judgement.detail) == (Reason.PROBER_ERROR, detail)
    assert server.requests == []


async def test_descriptors_that_are_not_there_are_our_own_fault() -> None:
    """A descriptor set that is missing is UNKNOWN/OWN_CREDENTIAL, also in a step that uses what was captured."""
    missing = "file:/no/such/set.pb"
    catch = {"id": Capture(header="X-Id")}
    async with grpc_serving() as server, serving(says(headers={"X-Id": "7"})) as site:
        alone = await ask(server.target, kind="grpc", call=CALL, descriptors=missing)
        step = Step(Probe("call", "grpc", call=CALL, descriptors=missing, body='{"link": "${id}"}'), server.target)
        later = await travel(site.url(""), a_step("first", "${target}/", catch), step)
    detail = "the descriptors in set.pb cannot be read: No such file or directory"
    assert (alone.judgement.reason, alone.judgement.detail) == (Reason.OWN_CREDENTIAL, detail)
    assert (later.judgement.reason, later.judgement.detail) == (Reason.OWN_CREDENTIAL, f"step call: {detail}")


async def test_descriptors_that_lack_imports_say_which(tmp_path: Path) -> None:
    """A descriptor set without the files it imports names one of them, also in a step that uses what was captured."""
    incomplete = descriptor_set(tmp_path / "half.pb", imports=False)
    async with grpc_serving() as server, serving(says(headers={"X-Id": "7"})) as site:
        alone = await ask(server.target, kind="grpc", call=CALL, descriptors=incomplete)
        step = Step(Probe("call", "grpc", call=CALL, descriptors=incomplete, body='{"link": "${id}"}'), server.target)
        later = await travel(site.url(""), a_step("first", "${target}/", {"id": Capture(header="X-Id")}), step)
    for result in (alone, later):
        assert result.judgement.reason is Reason.PROBER_ERROR
        assert result.judgement.detail == "the descriptors lack peyvand/v1/block.proto, which they import"


@pytest.mark.parametrize(
    ("slow", "reason"), [(0.5, Reason.PROBER_ERROR), (2.5, Reason.PROBER_ERROR), (0.0, Reason.ANSWER_TIMEOUT)]
)
async def test_reading_what_a_server_told_is_not_the_targets_time(
    slow: float, reason: Reason, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A call that times out after a worker took more than a tenth of the time to read the descriptors is UNKNOWN."""

    async def read(*_: object) -> Mapping[str, object]:
        await asyncio.sleep(slow)
        return {"seconds": 0.0}

    async def hang(_: Any, __: Any) -> Any:
        await asyncio.Event().wait()

    monkeypatch.setattr(WorkerPool, "call", read)
    async with grpc_serving(hang, reflects="v1") as server:
        result = await ask(server.target, kind="grpc", call=CALL, timeout=2.0)
    assert result.judgement.reason is reason
    assert ("reading the server's reflection took" in result.judgement.detail) is (reason is Reason.PROBER_ERROR)


async def test_31_a_server_that_does_not_tell_of_itself_ends_in_time() -> None:
    """A server that does not answer reflection is judged as one that does not answer, by the deadline."""
    with silent() as port:
        result = await takes(0.3, ask(f"grpc://127.0.0.1:{port}", kind="grpc", call=CALL, timeout=0.3))
    assert (result.judgement.outcome, result.judgement.reason) == (Outcome.NOT_ANSWERED, Reason.ANSWER_TIMEOUT)
    assert result.observation.phases.connect is not None
