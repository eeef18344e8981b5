"""Probe kind grpc: unary methods by descriptors and by reflection. Numbers are the behaviours of docs/probing.md."""

from __future__ import annotations

import asyncio
from pathlib import Path
from time import time
from typing import Any

import grpc
import orjson
import pytest
import structlog
from google.protobuf.descriptor_pb2 import FileDescriptorSet

from peyvand.v1.indicator_service_pb2 import GetLinkRequest, GetLinkResponse
from services.core.model.outcome import Reason
from services.core.model.probe import Auth, Expect, FreshnessSource, JsonExpectation, Probe, Tls
from services.prober.attempt import ProbeRunner
from tests.support.cases.probes.grpc_calls import descriptors, environment
from tests.support.servers.grpc_server import CALL, ends, grpc_serving
from tests.support.servers.http_server import Request, answer, ask, assignment, serving
from tests.support.waiting import DEADLINE

__all__ = ["descriptors"]  # fixtures


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


async def test_a_replaced_descriptor_set_is_used(descriptors: str) -> None:
    """A prober uses a replaced descriptor set within ten seconds. While the file is missing, that is our own fault."""
    path, now = Path(descriptors.removeprefix("file:")), [0.0]
    whole = path.read_bytes()
    older = FileDescriptorSet.FromString(whole)
    (link,) = (kind for file in older.file for kind in file.message_type if kind.name == "Link")
    del link.field[next(place for place, field in enumerate(link.field) if field.name == "data_item")]
    path.write_bytes(older.SerializeToString())
    way_out = environment(now)
    attempts = ProbeRunner(way_out, structlog.get_logger())
    expect = Expect(json=(JsonExpectation("$.link.link.data_item", equals="نشانی"),))
    definition = Probe("test", "grpc", call=CALL, descriptors=descriptors, timeout=DEADLINE / 2, expect=expect)
    async with grpc_serving(_link) as server:
        item = assignment(server.target, definition)
        reasons = [(await attempts.probe(item)).judgement.reason]
        for content in (whole, None, whole):
            path.unlink() if content is None else path.write_bytes(content)
            now[0] += 11.0
            reasons.append((await attempts.probe(item)).judgement.reason)
    await way_out.close()
    assert reasons == [Reason.JSON, Reason.OK, Reason.OWN_CREDENTIAL, Reason.OK]


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
            timeout=DEADLINE,
        )
    metadata = server.metadata[0]
    assert (metadata["x-who"], metadata["x-raw-bin"]) == ("me", b"\1\2")
    assert metadata["user-agent"] == "peyvand-prober/1"
    assert DEADLINE / 2 < server.left[0] <= DEADLINE + 0.1


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
    """A call that lost its time to the token, and one never made, are UNKNOWN; a quick token excuses nothing."""
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
