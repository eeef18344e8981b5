"""Probe kind http over TLS with an authority of our own. Numbers are the behaviours of docs/probing.md."""

from __future__ import annotations

import asyncio
import socket
import ssl
from pathlib import Path
from time import time

import pytest

from services.core.model.outcome import Outcome, Reason
from services.core.model.probe import Expect, Patterns, Tls
from tests.support.servers.authority import Authority
from tests.support.servers.http_server import Request, answer, ask, says, serving

_DAY = 86_400


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """A certificate authority."""
    return Authority.make(tmp_path)


async def test_a_good_certificate_passes(authority: Authority) -> None:
    """A certificate of the profile's authority for the exact address passes; tls is a phase, the expiry a fact."""
    async with serving(says(200, b"fine"), tls=authority.context("127.0.0.1", days=(-1, 30))) as server:
        result = await ask(server.url(), Expect(body=Patterns(must=("fine",))), tls=Tls(ca=authority.reference))
    observation = result.observation
    assert result.judgement.reason is Reason.OK
    assert observation.phases.tls is not None
    assert observation.phases.tls > 0
    assert observation.certificate is not None
    assert observation.certificate.names == ("127.0.0.1",)
    assert observation.certificate.earliest_expiry == pytest.approx(time() + 30 * _DAY, abs=60)


async def test_18_large_answers_arrive_whole(authority: Authority) -> None:
    """An answer of many TLS records arrives complete."""
    async with serving(says(200, b"x" * 700_000 + b"end"), tls=authority.context("127.0.0.1")) as server:
        result = await ask(server.url(), Expect(body=Patterns(must=("xend$",))), tls=Tls(ca=authority.reference))
    assert result.judgement.reason is Reason.OK
    assert result.observation.body_length == 700_003


async def test_19_https_does_not_end_in_plain_http(authority: Authority) -> None:
    """An https target that redirects to plain http fails: https was requested."""
    async with serving(says()) as plain:
        tls = authority.context("127.0.0.1")
        async with serving(says(302, b"", {"Location": plain.url()}), tls=tls) as server:
            result = await ask(server.url(), tls=Tls(ca=authority.reference))
    assert (result.judgement.outcome, result.judgement.reason) == (Outcome.INVALID, Reason.REDIRECT_REFUSED)
    assert plain.connections == 0


async def test_19_plain_http_on_an_https_target_fails() -> None:
    """A server that speaks plain http where https is requested is NOT_CONNECTED/TLS_NOT_SPOKEN."""

    async def complain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        writer.write(answer(400, b"speak http"))
        writer.close()

    listener = await asyncio.start_server(complain, "127.0.0.1", 0)
    async with listener:
        result = await ask(f"https://127.0.0.1:{listener.sockets[0].getsockname()[1]}/")
    assert (result.judgement.outcome, result.judgement.reason) == (Outcome.NOT_CONNECTED, Reason.TLS_NOT_SPOKEN)


async def test_20_self_signed_fails_unless_allowed(authority: Authority) -> None:
    """A self-signed certificate is CERTIFICATE_UNTRUSTED; with verify: false it passes and its facts are kept."""
    async with serving(says(), tls=authority.context("127.0.0.1", self_signed=True)) as server:
        refused = await ask(server.url(), tls=Tls(ca=authority.reference))
        allowed = await ask(server.url(), tls=Tls(verify=False))
    assert (refused.judgement.outcome, refused.judgement.reason) == (
        Outcome.NOT_CONNECTED,
        Reason.CERTIFICATE_UNTRUSTED,
    )
    assert allowed.judgement.reason is Reason.OK
    assert allowed.observation.certificate is not None


async def test_20_the_system_does_not_know_our_authority(authority: Authority) -> None:
    """Without a CA of its own a profile trusts the system's, which do not know the test authority."""
    async with serving(says(), tls=authority.context("127.0.0.1")) as server:
        result = await ask(server.url())
    assert result.judgement.reason is Reason.CERTIFICATE_UNTRUSTED


async def test_21_sni_and_verification_use_the_override(authority: Authority) -> None:
    """With server_name the override is both the name in the handshake and the name verified."""
    context = authority.context("tax.example")
    seen: list[str | None] = []
    context.sni_callback = lambda _connection, name, _context: seen.append(name)
    async with serving(says(), tls=context) as server:
        result = await ask(server.url(), tls=Tls(ca=authority.reference, server_name="tax.example"))
    assert result.judgement.reason is Reason.OK
    assert seen == ["tax.example"]


async def test_21_the_override_holds_at_home(authority: Authority) -> None:
    """A redirect within the target's own origin is still verified by the override."""

    async def handle(request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(200) if request.path == "/end" else answer(302, b"", {"Location": "/end"}))

    async with serving(handle, tls=authority.context("tax.example")) as server:
        result = await ask(server.url(), tls=Tls(ca=authority.reference, server_name="tax.example"))
    assert (result.judgement.reason, result.observation.redirects) == (Reason.OK, 1)


async def test_22_a_name_mismatch_has_its_own_reason(authority: Authority) -> None:
    """A valid certificate of another name is CERTIFICATE_NAME_MISMATCH, and no request is sent."""
    async with serving(says(), tls=authority.context("other.example")) as server:
        result = await ask(server.url(), tls=Tls(ca=authority.reference))
    assert (result.judgement.outcome, result.judgement.reason) == (
        Outcome.NOT_CONNECTED,
        Reason.CERTIFICATE_NAME_MISMATCH,
    )
    assert server.requests == []


async def test_23_expiry_of_the_chain(authority: Authority) -> None:
    """The earliest expiry is over all certificates presented, the chain's that of the longest-lived one that verifies."""
    old = authority.below("Intermediate", days=(-9, 5))
    spare = Authority(authority.below("Spare", days=(-9, -2)).certificate, old.key, authority.folder)
    context = old.context("127.0.0.1", days=(-1, 20), chain=(old, spare))
    async with serving(says(), tls=context) as server:
        result = await ask(server.url(), tls=Tls(ca=authority.reference))
    facts = result.observation.certificate
    assert result.judgement.reason is Reason.OK
    assert facts is not None
    assert facts.not_after == pytest.approx(time() + 20 * _DAY, abs=60)
    assert facts.earliest_expiry == pytest.approx(time() - 2 * _DAY, abs=60)
    assert facts.chain_expiry == pytest.approx(time() + 5 * _DAY, abs=60)


async def test_23_an_expired_intermediate_is_an_expiry(authority: Authority) -> None:
    """A chain that fails only because a certificate above the server's has expired has that as its detail."""
    intermediate = authority.below("Intermediate", days=(-9, -2))
    async with serving(says(), tls=intermediate.context("127.0.0.1", days=(-5, 20), chain=(intermediate,))) as server:
        result = await ask(server.url(), tls=Tls(ca=authority.reference))
    assert result.judgement.reason is Reason.CERTIFICATE_EXPIRED


@pytest.mark.parametrize(
    ("days", "reason"),
    [((-30, -2), Reason.CERTIFICATE_EXPIRED), ((2, 30), Reason.CERTIFICATE_NOT_YET_VALID)],
)
async def test_24_facts_are_reported_when_verification_fails(
    authority: Authority, days: tuple[float, float], reason: Reason
) -> None:
    """A certificate that is not valid now is NOT_CONNECTED with its reason, and its real expiry is still reported."""
    async with serving(says(), tls=authority.context("127.0.0.1", days=days)) as server:
        result = await ask(server.url(), tls=Tls(ca=authority.reference))
    assert (result.judgement.outcome, result.judgement.reason) == (Outcome.NOT_CONNECTED, reason)
    assert result.observation.certificate is not None
    assert result.observation.certificate.earliest_expiry == pytest.approx(time() + days[1] * _DAY, abs=60)


async def test_own_authority_missing(authority: Authority, tmp_path: Path) -> None:
    """A missing CA file of ours is UNKNOWN/OWN_CREDENTIAL: the monitor's fault."""
    async with serving(says(), tls=authority.context("127.0.0.1")) as server:
        result = await ask(server.url(), tls=Tls(ca=f"file:{tmp_path / 'gone.pem'}"))
    assert (result.judgement.outcome, result.judgement.reason) == (Outcome.UNKNOWN, Reason.OWN_CREDENTIAL)


async def test_a_handshake_cut_off_is_a_tls_failure() -> None:
    """A server that closes during the handshake is NOT_CONNECTED/TLS_FAILED."""

    async def drop(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        writer.transport.abort()

    listener = await asyncio.start_server(drop, "127.0.0.1", 0)
    async with listener:
        result = await ask(f"https://127.0.0.1:{listener.sockets[0].getsockname()[1]}/")
    assert (result.judgement.outcome, result.judgement.reason) == (Outcome.NOT_CONNECTED, Reason.TLS_FAILED)


def _serve_without_goodbye(listener: socket.socket, context: ssl.SSLContext) -> None:
    """Answer one request without a length and cut the connection without close_notify."""
    connection, _ = listener.accept()
    with connection:
        secured = context.wrap_socket(connection, server_side=True)
        secured.recv(65536)
        secured.sendall(answer(200, b"cut", length=False))
        raw = secured.detach()
        socket.close(raw)


async def test_a_truncated_answer_is_not_whole(authority: Authority) -> None:
    """Over TLS an answer that ends with the connection is complete only after the server's close_notify."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(1)
        url = f"https://127.0.0.1:{listener.getsockname()[1]}/"
        serving_it = asyncio.create_task(
            asyncio.to_thread(_serve_without_goodbye, listener, authority.context("127.0.0.1"))
        )
        result = await ask(url, tls=Tls(ca=authority.reference))
        await serving_it
    assert (result.judgement.outcome, result.judgement.reason) == (Outcome.NOT_ANSWERED, Reason.CONNECTION_CLOSED)
