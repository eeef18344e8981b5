"""Probe kind grpc: unary methods by descriptors and by reflection. Numbers are the behaviours of docs/probing.md."""

from __future__ import annotations

import asyncio
from pathlib import Path
from time import time
from typing import Any

import grpc
import orjson
import pytest

from peyvand.v1.indicator_service_pb2 import GetLinkRequest, GetLinkResponse
from services.core.model.outcome import Outcome, Reason
from services.core.model.probe import Auth, Expect, FreshnessSource, JsonExpectation, Tls
from services.prober.grpc.descriptor_cache import DescriptorCache
from services.prober.kinds.kind import ProbeEnvironment
from services.prober.transport.addresses import Outbound
from services.prober.transport.egress import EgressRules
from tests.support.patient_loop import takes
from tests.support.servers.grpc_server import CALL, SERVICE, descriptor_set, ends, grpc_serving
from tests.support.servers.http_server import LOOPBACK, Request, answer, ask, serving, silent


@pytest.fixture
def descriptors(tmp_path: Path) -> str:
    """Write the descriptors of IndicatorService to a file."""
    return descriptor_set(tmp_path / "set.pb")


def environment(clock: list[float] | None = None) -> ProbeEnvironment:
    """Return an environment whose reflected descriptors age by this clock."""
    now = clock or [0.0]
    return ProbeEnvironment(Outbound(egress=EgressRules(LOOPBACK)), descriptors=DescriptorCache(clock=lambda: now[0]))


async def _link(request: GetLinkRequest, _: Any) -> GetLinkResponse:
    response = GetLinkResponse()
    response.link.link.id = request.link
    response.link.link.data_item = "نشانی"
    response.link.exchanges.count = 7
    response.slots.add().slot_start.FromSeconds(int(time()) - 7200)
    return response


async def test_08_18_json_goes_in_and_out(descriptors: str) -> None:
    """The request is the body as JSON, params filled in; expectations hold for the answer as JSON, with defaults."""
    expect = Expect(
        json=(
            JsonExpectation("$.link.link.absent", equals=False),
            JsonExpectation("$.link.link.vantages", type="array"),
            JsonExpectation("$.link.exchanges.count", equals="7"),
        ),
        record={"link.link.id": "${id}", "link.link.data_item": "نشاني"},
        schema={"type": "object", "required": ["link", "slots"]},
    )
    body = '{"link": "${id}", "window_days": 30, "slots_from": "2026-01-01T00:00:00Z"}'
    async with grpc_serving(_link) as server:
        result, wrong = [
            await ask(
                server.target, wanted, kind="grpc", call=CALL, descriptors=descriptors, body=body, params={"id": "a"}
            )
            for wanted in (expect, Expect(json=(JsonExpectation("$.link.link.absent", equals=True),)))
        ]
    assert (result.judgement.reason, wrong.judgement.reason) == (Reason.OK, Reason.JSON)
    request = server.requests[0]
    assert (request.link, request.window_days, request.slots_from.seconds) == ("a", 30, 1767225600)


async def test_the_age_of_data_in_a_grpc_answer(descriptors: str) -> None:
    """A timestamp in the answer gives the age of its data."""
    fresh = Expect(fresh=FreshnessSource(path="$.slots[0].slot_start"))
    async with grpc_serving(_link) as server:
        stale = await ask(server.target, fresh, kind="grpc", call=CALL, descriptors=descriptors, max_age=3600)
        young = await ask(server.target, fresh, kind="grpc", call=CALL, descriptors=descriptors, max_age=8000)
    assert (stale.judgement.reason, young.judgement.reason) == (Reason.STALE, Reason.OK)


async def test_07_metadata_arrives_as_set(descriptors: str) -> None:
    """Headers are sent as metadata, in lower case, with our user agent and the time left until the deadline."""
    async with grpc_serving() as server:
        await ask(
            server.target,
            kind="grpc",
            call=CALL,
            descriptors=descriptors,
            headers={"X-Who": "${who}", "X-Raw-Bin": "AQI="},
            params={"who": "me"},
        )
    metadata = server.metadata[0]
    assert (metadata["x-who"], metadata["x-raw-bin"]) == ("me", b"\1\2")
    assert metadata["user-agent"] == "peyvand-prober/1"
    assert 4 < server.left[0] <= 5.1


async def test_07_metadata_with_several_values(descriptors: str) -> None:
    """Binary values with commas between them arrive as several, since servers decode each by itself; texts arrive as written."""
    async with grpc_serving() as server:
        result = await ask(
            server.target,
            kind="grpc",
            call=CALL,
            descriptors=descriptors,
            headers={"x-who": "me, you", "x-raw-bin": "AQI=, AwQ"},
        )
    assert result.judgement.reason is Reason.OK
    (metadata,) = server.pairs
    assert [value for name, value in metadata if name == "x-raw-bin"] == [b"\1\2", b"\3\4"]
    assert [value for name, value in metadata if name == "x-who"] == ["me, you"]


@pytest.mark.parametrize("kind", ["basic", "bearer", "api_key"])
async def test_30_credentials_go_as_metadata(kind: str, descriptors: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials by reference arrive as metadata and appear in no output."""
    monkeypatch.setenv("TEST_SECRET", "s3cr3t-value")
    auth = {
        "basic": Auth("basic", username="me", password="env:TEST_SECRET"),
        "bearer": Auth("bearer", token="env:TEST_SECRET"),
        "api_key": Auth("api_key", header="X-Api-Key", key="env:TEST_SECRET"),
    }[kind]
    async with grpc_serving(ends(grpc.StatusCode.UNAUTHENTICATED)) as server:
        result = await ask(server.target, kind="grpc", call=CALL, descriptors=descriptors, auth=auth)
    sent = {"basic": "Basic bWU6czNjcjN0LXZhbHVl", "bearer": "Bearer s3cr3t-value", "api_key": "s3cr3t-value"}[kind]
    assert server.metadata[0]["x-api-key" if kind == "api_key" else "authorization"] == sent
    assert result.judgement.reason is Reason.AUTH_REFUSED
    assert "s3cr3t-value" not in repr(result)


async def test_own_credential_of_a_grpc_probe(descriptors: str) -> None:
    """A credential of ours that is missing is UNKNOWN/OWN_CREDENTIAL, and the target is not contacted."""
    async with grpc_serving() as server:
        auth = Auth("bearer", token="env:NO_SUCH_VARIABLE")
        result = await ask(server.target, kind="grpc", call=CALL, descriptors=descriptors, auth=auth)
        tls = Tls(ca="file:/no/such/ca.pem")
        other = await ask(server.target.replace("grpc:", "grpcs:"), kind="grpc", tls=tls)
    assert (result.judgement.reason, other.judgement.reason) == (Reason.OWN_CREDENTIAL, Reason.OWN_CREDENTIAL)
    assert server.requests == []


async def test_an_oauth2_token_goes_as_metadata(descriptors: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The issuer's token is sent with the call; a refused one is dropped, so that the next call has another."""
    monkeypatch.setenv("TEST_SECRET", "s3cr3t-value")
    given: list[str] = []

    async def issue(_: Request, writer: Any) -> None:
        given.append(f"token-{len(given)}")
        body = f'{{"access_token": "{given[-1]}", "token_type": "bearer", "expires_in": 3600}}'.encode()
        writer.write(answer(200, body, {"Content-Type": "application/json"}))

    async with serving(issue) as issuer, grpc_serving(ends(grpc.StatusCode.UNAUTHENTICATED)) as server:
        auth = Auth("oauth2", token_url=issuer.url(), client_id="monitor", client_secret="env:TEST_SECRET")
        way_out = environment()
        for _ in range(2):
            result = await ask(
                server.target, kind="grpc", call=CALL, descriptors=descriptors, auth=auth, environment=way_out
            )
            assert result.judgement.reason is Reason.AUTH_REFUSED
        await way_out.close()
    assert [metadata["authorization"] for metadata in server.metadata] == ["Bearer token-0", "Bearer token-1"]


@pytest.mark.parametrize(
    ("slow", "timeout", "reason"),
    [
        (0.8, 1.0, Reason.OWN_CREDENTIAL),
        (2.0, 1.0, Reason.OWN_CREDENTIAL),
        (0.0, 4.0, Reason.ANSWER_TIMEOUT),  # a tenth of it is more than a token takes on a busy machine
    ],
)
async def test_a_slow_issuer_of_a_grpc_probe(
    descriptors: str, slow: float, timeout: float, reason: Reason, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A call without time because of the token, and one never made, are UNKNOWN; a quick token excuses nothing."""
    monkeypatch.setenv("TEST_SECRET", "s3cr3t-value")

    async def issue(_: Request, writer: Any) -> None:
        await asyncio.sleep(slow)
        writer.write(answer(200, b'{"access_token": "a"}'))

    async def hang(_: Any, __: Any) -> Any:
        await asyncio.Event().wait()

    async with serving(issue) as issuer, grpc_serving(hang) as server:
        auth = Auth("oauth2", token_url=issuer.url(), client_id="monitor", client_secret="env:TEST_SECRET")
        way_out = environment()
        result = await ask(
            server.target,
            kind="grpc",
            call=CALL,
            descriptors=descriptors,
            auth=auth,
            environment=way_out,
            timeout=timeout,
        )
        await way_out.close()
    assert result.judgement.reason is reason
    assert result.observation.addresses == (() if slow > 1.0 else ("127.0.0.1",))


@pytest.mark.parametrize("version", ["v1", "v1alpha"])
async def test_29_reflection_is_asked_outside_the_targets_time(version: str) -> None:
    """A server with reflection, present or former version, gets one request; the call's facts are its own."""
    way_out = environment()
    async with grpc_serving(reflects=version) as server:
        for _ in range(2):
            result = await ask(server.target, kind="grpc", call=CALL, body='{"link": "a"}', environment=way_out)
            assert result.judgement.reason is Reason.OK
            assert result.observation.addresses == ("127.0.0.1",)
    assert [request.link for request in server.requests] == ["a", "a"]
    assert server.described == [version]


async def test_reflection_that_leaves_out_imports_is_asked_for_them() -> None:
    """A server that returns only the requested file gets requests for its imports, until all are there."""
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
        (
            {"descriptors": "file:/no/such/set.pb"},
            "the descriptors in set.pb cannot be read: No such file or directory",
        ),
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


async def test_descriptors_that_lack_imports_say_which(tmp_path: Path) -> None:
    """A descriptor set without the files it imports names one of them."""
    incomplete = descriptor_set(tmp_path / "half.pb", imports=False)
    async with grpc_serving() as server:
        result = await ask(server.target, kind="grpc", call=CALL, descriptors=incomplete)
    assert result.judgement.reason is Reason.PROBER_ERROR
    assert result.judgement.detail == "the descriptors lack peyvand/v1/block.proto, which they import"


async def test_31_a_server_that_does_not_tell_of_itself_ends_in_time() -> None:
    """A server that does not answer reflection is judged as one that does not answer, by the deadline."""
    with silent() as port:
        result = await takes(0.3, ask(f"grpc://127.0.0.1:{port}", kind="grpc", call=CALL, timeout=0.3))
    assert (result.judgement.outcome, result.judgement.reason) == (Outcome.NOT_ANSWERED, Reason.ANSWER_TIMEOUT)
    assert result.observation.phases.connect is not None


@pytest.mark.parametrize("reflects", ["", "v1"])
async def test_large_answers_are_decoded_as_small_ones_are(reflects: str, descriptors: str) -> None:
    """A large answer is decoded by a worker, into the same JSON; its latency ends with the answer."""
    name = "deed-" * 1000
    expect = Expect(json=(JsonExpectation("$.link.link.absent", equals=False),), record={"link.link.id": name})
    way_out = environment()
    async with grpc_serving(_link, reflects=reflects) as server:
        result = await ask(
            server.target,
            expect,
            kind="grpc",
            environment=way_out,
            call=CALL,
            descriptors="" if reflects else descriptors,
            body=orjson.dumps({"link": name}).decode(),
        )
        assert way_out.workers._idle
        await way_out.close()
    seen = result.observation
    assert result.judgement.reason is Reason.OK
    assert seen.raw_length > 5000
    assert orjson.loads(seen.body)["link"]["link"]["id"] == name
    assert seen.latency is not None
    assert seen.latency < seen.duration
