"""Probe kind grpc, the health check, against real gRPC servers. Numbers are the behaviours of docs/probing.md."""

from __future__ import annotations

import asyncio
from pathlib import Path

import grpc
import pytest
from grpc_health.v1.health_pb2 import HealthCheckResponse

from services.core.model.outcome import Outcome, Reason
from services.core.model.probe import Expect, JsonExpectation, Tls
from services.core.model.register import Egress
from services.prober.kinds.kind import ProbeEnvironment
from services.prober.transport.addresses import Outbound
from services.prober.transport.egress import EgressRules
from tests.support.patient_loop import takes
from tests.support.servers.authority import Authority
from tests.support.servers.grpc_server import CALL, descriptor_set, ends, grpc_serving
from tests.support.servers.http_server import ask, silent
from tests.support.servers.name_server import name_server

SERVING = {"": HealthCheckResponse.SERVING, "tax": HealthCheckResponse.SERVING}


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """A certificate authority."""
    return Authority.make(tmp_path)


@pytest.mark.parametrize("service", ["", "tax"])
async def test_a_serving_server_passes(service: str) -> None:
    """The health check of the whole server, or of one service, that returns SERVING is OK, with facts and phases."""
    async with grpc_serving(serving=SERVING) as server:
        result = await ask(server.target, kind="grpc", service=service)
    observation = result.observation
    assert (result.judgement.reason, observation.protocol, observation.status) == (Reason.OK, "HTTP/2", 200)
    assert observation.rpc is not None
    assert (observation.rpc.code, observation.rpc.serving) == ("OK", "SERVING")
    assert (observation.phases.resolve, observation.phases.tls) == (None, None)
    assert observation.latency == pytest.approx(
        (observation.phases.processing or 0) + (observation.phases.transfer or 0)
    )


async def test_26_not_serving_fails() -> None:
    """A service whose status is NOT_SERVING, and one whose status is unknown, are NOT_ANSWERED/NOT_SERVING."""
    states = {"down": HealthCheckResponse.NOT_SERVING, "odd": HealthCheckResponse.UNKNOWN}
    async with grpc_serving(serving=states) as server:
        for service in states:
            result = await ask(server.target, kind="grpc", service=service)
            assert (result.judgement.outcome, result.judgement.reason) == (Outcome.NOT_ANSWERED, Reason.NOT_SERVING)


async def test_26_an_unknown_service_has_its_own_reason() -> None:
    """A service that the server does not know is UNKNOWN_SERVICE."""
    async with grpc_serving(serving=SERVING) as server:
        result = await ask(server.target, kind="grpc", service="${name}", params={"name": "pension"})
    assert (result.judgement.outcome, result.judgement.reason) == (Outcome.NOT_ANSWERED, Reason.UNKNOWN_SERVICE)


async def test_26_no_health_check_has_its_own_reason() -> None:
    """A server without the health check is UNIMPLEMENTED."""
    async with grpc_serving() as server:
        result = await ask(server.target, kind="grpc")
    assert (result.judgement.outcome, result.judgement.reason) == (Outcome.NOT_ANSWERED, Reason.UNIMPLEMENTED)


async def test_26_tls_to_plaintext_has_its_own_reason() -> None:
    """A server that speaks plain text where TLS is requested is NOT_CONNECTED/TLS_NOT_SPOKEN."""
    async with grpc_serving(serving=SERVING) as server:
        result = await ask(server.target.replace("grpc:", "grpcs:"), kind="grpc")
    assert (result.judgement.outcome, result.judgement.reason) == (Outcome.NOT_CONNECTED, Reason.TLS_NOT_SPOKEN)


async def test_26_plaintext_to_tls_has_its_own_reason(authority: Authority) -> None:
    """A server that requires TLS where plain text is used is NOT_ANSWERED/PROTOCOL_ERROR, and the detail names TLS."""
    async with grpc_serving(serving=SERVING, pem=authority.server("127.0.0.1")) as server:
        result = await ask(server.target.replace("grpcs:", "grpc:"), kind="grpc")
    assert (result.judgement.outcome, result.judgement.reason) == (Outcome.NOT_ANSWERED, Reason.PROTOCOL_ERROR)
    assert "TLS" in result.judgement.detail


async def test_grpc_over_tls(authority: Authority) -> None:
    """Over TLS a trusted server passes, with TLS facts; expect: {tls: true} holds there and fails without TLS."""
    async with (
        grpc_serving(serving=SERVING, pem=authority.server("127.0.0.1")) as secured,
        grpc_serving(serving=SERVING) as plain,
    ):
        result = await ask(secured.target, Expect(tls=True), kind="grpc", tls=Tls(ca=authority.reference))
        bare = await ask(plain.target, Expect(tls=True), kind="grpc")
    assert result.judgement.reason is Reason.OK
    assert result.observation.tls_version.startswith("TLSv1.")
    assert result.observation.certificate is not None
    assert result.observation.phases.tls is not None
    assert bare.judgement.reason is Reason.NOT_SECURE


async def test_20_22_24_certificates_of_grpc_servers(authority: Authority) -> None:
    """Untrusted, misnamed and expired certificates have the reasons they have with HTTP; their facts are reported."""
    trusted = Tls(ca=authority.reference)
    cases = (
        (authority.server("127.0.0.1", self_signed=True), trusted, Reason.CERTIFICATE_UNTRUSTED),
        (authority.server("other.example"), trusted, Reason.CERTIFICATE_NAME_MISMATCH),
        (authority.server("127.0.0.1", days=(-9, -2)), trusted, Reason.CERTIFICATE_EXPIRED),
        (authority.server("other.example"), Tls(ca=authority.reference, server_name="other.example"), Reason.OK),
    )
    for pem, tls, reason in cases:
        async with grpc_serving(serving=SERVING, pem=pem) as server:
            result = await ask(server.target, kind="grpc", tls=tls)
        assert result.judgement.reason is reason
        assert result.observation.certificate is not None


async def test_a_client_certificate_is_shown(authority: Authority) -> None:
    """A server that requires our certificate passes with it; without it, it does not answer."""
    certificate, key = authority.client()
    authorities = Path(authority.reference.removeprefix("file:"))
    own = Tls(ca=authority.reference, certificate=f"file:{certificate}", key=f"file:{key}")
    async with grpc_serving(serving=SERVING, pem=authority.server("127.0.0.1"), client_ca=authorities) as server:
        shown = await ask(server.target, kind="grpc", tls=own)
        hidden = await ask(server.target, kind="grpc", tls=Tls(ca=authority.reference))
    assert shown.judgement.reason is Reason.OK
    assert hidden.judgement.outcome < Outcome.INVALID
    assert hidden.observation.rpc is None


async def test_18_the_health_check_can_be_expected_as_json() -> None:
    """The health check's answer is in the body as JSON."""
    async with grpc_serving(serving=SERVING) as server:
        result = await ask(
            server.target, Expect(json=(JsonExpectation("$.status", equals="SERVING"),)), kind="grpc", service="tax"
        )
    assert (result.judgement.reason, result.observation.body) == (Reason.OK, b'{"status":"SERVING"}')


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (grpc.StatusCode.UNAUTHENTICATED, Reason.AUTH_REFUSED),
        (grpc.StatusCode.PERMISSION_DENIED, Reason.AUTH_REFUSED),
        (grpc.StatusCode.UNAVAILABLE, Reason.RPC_FAILED),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, Reason.RPC_FAILED),
        (grpc.StatusCode.NOT_FOUND, Reason.RPC_FAILED),
        (grpc.StatusCode.DEADLINE_EXCEEDED, Reason.RPC_FAILED),
        (grpc.StatusCode.UNIMPLEMENTED, Reason.UNIMPLEMENTED),
    ],
)
async def test_30_how_a_call_ends_is_judged(code: grpc.StatusCode, reason: Reason, tmp_path: Path) -> None:
    """A call that does not end with OK is NOT_ANSWERED; the detail names the code and not the server's message."""
    async with grpc_serving(ends(code)) as server:
        result = await ask(server.target, kind="grpc", call=CALL, descriptors=descriptor_set(tmp_path / "set.pb"))
    assert (result.judgement.outcome, result.judgement.reason) == (Outcome.NOT_ANSWERED, reason)
    assert result.observation.rpc is not None
    assert result.observation.rpc.code == code.name
    assert "s3cr3t" not in result.judgement.detail


async def test_37_the_egress_policy_holds() -> None:
    """A target that the egress policy forbids is UNKNOWN/EGRESS_DENIED and not contacted."""
    async with grpc_serving(serving=SERVING) as server:
        result = await ask(server.target, kind="grpc", egress=Egress(allow=("192.0.2.0/24",)))
    assert (result.judgement.outcome, result.judgement.reason) == (Outcome.UNKNOWN, Reason.EGRESS_DENIED)
    assert result.observation.addresses == ()


async def test_grpc_targets_have_names() -> None:
    """A target given by name is resolved, and the name is sent to the server as its authority."""
    async with grpc_serving(serving=SERVING) as server, name_server({"tax.test": ["127.0.0.1"]}) as (_, resolver):
        environment = ProbeEnvironment(Outbound(egress=EgressRules(Egress(("127.0.0.0/8",), True)), resolver=resolver))
        result = await ask(server.target.replace("127.0.0.1", "tax.test"), kind="grpc", environment=environment)
    assert result.judgement.reason is Reason.OK
    assert result.observation.phases.resolve is not None


async def test_a_closed_port(port: object) -> None:
    """A port where nothing listens is NOT_CONNECTED/CONNECT_REFUSED."""
    result = await ask(f"grpc://127.0.0.1:{port()}", kind="grpc")  # type: ignore[operator]
    assert (result.judgement.outcome, result.judgement.reason) == (Outcome.NOT_CONNECTED, Reason.CONNECT_REFUSED)


async def test_31_a_hung_grpc_call_ends_in_time(tmp_path: Path) -> None:
    """A gRPC server that never answers, and one that never does the handshake, end by the deadline."""

    async def hang(_: object, __: object) -> None:
        await asyncio.Event().wait()

    descriptors = descriptor_set(tmp_path / "set.pb")
    async with grpc_serving(hang) as server:  # type: ignore[arg-type]
        with silent() as port:
            for target, reason in (
                (server.target, Reason.ANSWER_TIMEOUT),
                (f"grpc://127.0.0.1:{port}", Reason.ANSWER_TIMEOUT),
                (f"grpcs://127.0.0.1:{port}", Reason.TLS_TIMEOUT),
            ):
                result = await takes(0.3, ask(target, kind="grpc", call=CALL, descriptors=descriptors, timeout=0.3))
                assert result.judgement.reason is reason
    assert 0.3 < server.left[0] <= 0.41
