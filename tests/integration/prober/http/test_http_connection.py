"""Probe kind http against real servers: one connection, its phases, what may be reached and with what credentials.

Numbers are the behaviours of docs/probing.md.
"""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest

from services.core.model.outcome import Outcome, Reason
from services.core.model.probe import Auth, Expect, Patterns
from services.core.model.register import Egress
from services.prober.kinds.kind import ProbeEnvironment
from services.prober.transport.addresses import Outbound
from services.prober.transport.egress import EgressRules
from tests.support.limits.descriptors import no_descriptor_left
from tests.support.servers.http_server import Request, answer, ask, says, serving
from tests.support.servers.name_server import name_server


async def test_29_each_phase_once() -> None:
    """A plain probe of an address has connect, processing and transfer, and neither resolve nor tls; they add up."""
    async with serving(says(200, b"x" * 100_000)) as server:
        result = await ask(server.url())
    phases, observation = result.observation.phases, result.observation
    assert (phases.resolve, phases.tls) == (None, None)
    parts = [phases.connect, phases.processing, phases.transfer]
    assert all(part is not None and part > 0 for part in parts)
    assert sum(part for part in parts if part) <= observation.duration
    assert observation.latency == pytest.approx((phases.processing or 0) + (phases.transfer or 0))


async def test_29_resolve_is_a_phase_and_is_remembered() -> None:
    """A name costs one query within its TTL, and resolving is timed each time."""
    async with serving(says()) as server, name_server({"tax.test": ["127.0.0.1"]}) as (names, resolver):
        environment = ProbeEnvironment(Outbound(egress=EgressRules(Egress(("127.0.0.0/8",), True)), resolver=resolver))
        for _ in range(3):
            result = await ask(server.url(host="tax.test"), environment=environment)
            assert result.judgement.reason is Reason.OK
            assert result.observation.phases.resolve is not None
    assert names.asked.count("tax.test/1") == 1
    assert server.requests[0].header("host") == f"tax.test:{server.port}"


async def test_28_the_next_address_is_tried() -> None:
    """When one address of a name refuses, the next is tried; every address tried is recorded."""
    async with (
        serving(says(), host="127.0.0.3") as server,
        name_server({"two.test": ["127.0.0.2", "127.0.0.3"]}) as (_, resolver),
    ):
        environment = ProbeEnvironment(Outbound(egress=EgressRules(Egress(("127.0.0.0/8",), True)), resolver=resolver))
        result = await ask(server.url(host="two.test"), environment=environment)
    assert result.judgement.reason is Reason.OK
    assert result.observation.addresses[-1] == "127.0.0.3"


async def test_resolve_failed() -> None:
    """A name that does not exist is NOT_CONNECTED/RESOLVE_FAILED."""
    async with name_server({}) as (_, resolver):
        environment = ProbeEnvironment(Outbound(egress=EgressRules(Egress(("127.0.0.0/8",), True)), resolver=resolver))
        result = await ask("http://gone.test/", environment=environment)
    assert (result.judgement.outcome, result.judgement.reason) == (Outcome.NOT_CONNECTED, Reason.RESOLVE_FAILED)


async def test_connect_refused(port: object) -> None:
    """A port where nothing listens is NOT_CONNECTED/CONNECT_REFUSED."""
    result = await ask(f"http://127.0.0.1:{port()}/")  # type: ignore[operator]
    assert (result.judgement.outcome, result.judgement.reason) == (Outcome.NOT_CONNECTED, Reason.CONNECT_REFUSED)


@pytest.mark.parametrize("kind", ["basic", "bearer", "api_key"])
async def test_30_credentials_arrive_and_stay_secret(
    kind: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Credentials by reference arrive, follow no redirect to another origin, and appear in no log and no output."""
    monkeypatch.setenv("TEST_SECRET", "s3cr3t-value")
    (tmp_path / "key").write_text("s3cr3t-value\n")
    auth = {
        "basic": Auth("basic", username="me", password="env:TEST_SECRET"),
        "bearer": Auth("bearer", token="env:TEST_SECRET"),
        "api_key": Auth("api_key", header="X-Api-Key", key=f"file:{tmp_path / 'key'}"),
    }[kind]
    async with serving(says(500)) as stranger:

        async def handle(_: Request, writer: asyncio.StreamWriter) -> None:
            writer.write(answer(302, b"", {"Location": stranger.url()}))

        async with serving(handle) as server:
            result = await ask(server.url(), auth=auth)
    sent = {"basic": "Basic bWU6czNjcjN0LXZhbHVl", "bearer": "Bearer s3cr3t-value", "api_key": "s3cr3t-value"}[kind]
    header = "x-api-key" if kind == "api_key" else "authorization"
    assert server.requests[0].header(header) == sent
    assert stranger.requests[0].header(header) is None
    printed = capsys.readouterr()
    assert "s3cr3t" not in repr(result) + printed.out + printed.err


async def test_own_credential() -> None:
    """A credential of ours that is missing is UNKNOWN/OWN_CREDENTIAL, and the target is not contacted."""
    async with serving(says()) as server:
        result = await ask(server.url(), auth=Auth("bearer", token="env:NO_SUCH_VARIABLE"))
    assert (result.judgement.outcome, result.judgement.reason) == (Outcome.UNKNOWN, Reason.OWN_CREDENTIAL)
    assert server.connections == 0


@pytest.mark.parametrize("secret", ["s3cr3t\nand more", "رمز"])
@pytest.mark.parametrize(
    "auth", [Auth("bearer", token="env:SECRET"), Auth("api_key", header="X-Api-Key", key="env:SECRET")]
)
async def test_a_credential_that_cannot_be_sent(auth: Auth, secret: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A secret that no header can hold is OWN_CREDENTIAL too, named by its reference."""
    monkeypatch.setenv("SECRET", secret)
    async with serving(says()) as server:
        result = await ask(server.url(), auth=auth)
    assert (result.judgement.reason, server.connections) == (Reason.OWN_CREDENTIAL, 0)
    assert result.judgement.detail == "the credential env:SECRET cannot be sent: it holds more than printable ASCII"


async def test_an_answer_may_end_with_the_connection() -> None:
    """Without a length the answer ends when the connection does."""

    async def handle(_: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.0 200 OK\r\n\r\nall of it")

    async with serving(handle) as server:
        result = await ask(server.url(), Expect(body=Patterns(must=("^all of it$",))))
    assert result.judgement.reason is Reason.OK


async def test_interim_answers_are_skipped() -> None:
    """A 100 or 103 before the answer is not the answer, even if both arrive together; chunks are joined."""

    async def handle(_: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(
            b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n"
        )

    async with serving(handle) as server:
        result = await ask(server.url(), Expect(body=Patterns(must=("^abcdef$",))))
    assert result.judgement.reason is Reason.OK
    assert result.observation.headers == (("transfer-encoding", "chunked"),)
    assert None not in (result.observation.phases.processing, result.observation.phases.transfer)


_OK = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize(
    "said",
    [
        _OK + b"Transfer-Encoding: identity\r\n\r\nhello",
        _OK + b"Transfer-Encoding: identity\r\nContent-Length: 5\r\n\r\nhello",
        _OK + b"Transfer-Encoding: chunked\r\n\r\n5   \r\nhello\r\n0 \r\n\r\n",
        _OK + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
        _OK + b"Content-Length: 5, 5\r\n\r\nhello",
        _OK + b"content-length : 5 ,5\nX: y\nContent-Length: 5\n\nhello",
    ],
)
@pytest.mark.parametrize("apiece", [1, 40, 1000])
async def test_what_other_clients_read(said: bytes, apiece: int) -> None:
    """A coding without chunks ends with the connection, sizes may be padded, one length repeated, in any pieces."""

    async def handle(_: Request, writer: asyncio.StreamWriter) -> None:
        writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for start in range(0, len(said), apiece):
            writer.write(said[start : start + apiece])
            await asyncio.sleep(0.001)

    async with serving(handle) as server:
        result = await ask(server.url())
    assert (result.judgement.reason, result.observation.body) == (Reason.OK, b"hello")


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!", Reason.PROTOCOL_ERROR),
        (b"Content-Length: 5, 6\r\n\r\nhello!", Reason.PROTOCOL_ERROR),
        (b"Content-Length: 5\r\nContent-Length: 5\r\nContent-Length: 05\r\n\r\nhello", Reason.PROTOCOL_ERROR),
        (b"Content-Length: 5\r\nContent-Length: +5\r\n\r\nhello", Reason.PROTOCOL_ERROR),
        (b"Content-Length: 5,\r\n\r\nhello", Reason.PROTOCOL_ERROR),
        (b"Content-Length: 6\r\nContent-Length: 6\r\n\r\nhello", Reason.CONNECTION_CLOSED),
        (b"Content-Length: 5\r\nContent-Length: 5", Reason.CONNECTION_CLOSED),
        (b"Transfer-Encoding: chunked, identity\r\n\r\nhello", Reason.CONNECTION_CLOSED),
        (b"Transfer-Encoding: chunked\r\nTransfer-Encoding: gzip\r\n\r\nhello", Reason.CONNECTION_CLOSED),
        (b"Transfer-Encoding: chunked\r\n\r\n5 5\r\nhello\r\n0\r\n\r\n", Reason.PROTOCOL_ERROR),
    ],
)
async def test_what_ends_here_for_one_and_there_for_another(said: bytes, reason: Reason) -> None:
    """An answer whose lengths differ, or whose chunks are coded again, is refused: its end is not defined."""

    async def handle(_: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(_OK + said)

    async with serving(handle) as server:
        result = await ask(server.url())
    assert result.judgement.reason is reason


async def test_what_follows_an_answer_is_none_of_it() -> None:
    """Bytes after a complete answer change neither its status nor its headers, whatever they look like."""
    more = b"HTTP/1.1 500 Bad\r\nX-Other: 1\r\nContent-Length: 0\r\n\r\n"

    async def handle(_: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(200, b"hello") + more)

    async with serving(handle) as server:
        result = await ask(server.url())
    assert (result.judgement.reason, result.observation.status) == (Reason.OK, 200)
    assert [name for name, _ in result.observation.headers] == ["content-length"]


async def test_head_has_no_body() -> None:
    """A HEAD answer is complete after its headers, whatever length they state."""

    async def handle(_: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        await asyncio.Event().wait()

    async with serving(handle) as server:
        result = await ask(server.url(), method="HEAD")
    assert result.judgement.reason is Reason.OK


async def test_local_resources() -> None:
    """When this machine has no descriptor left, the outcome is UNKNOWN/LOCAL_RESOURCES, not the target's failure."""
    async with serving(says()) as server:
        with no_descriptor_left():
            result = await ask(server.url())
    assert (result.judgement.outcome, result.judgement.reason) == (Outcome.UNKNOWN, Reason.LOCAL_RESOURCES)


async def test_37_egress_is_checked_on_the_address() -> None:
    """A target whose address the policy does not allow is UNKNOWN/EGRESS_DENIED, whatever its name."""
    async with serving(says()) as server, name_server({"inside.test": ["127.0.0.1"]}) as (_, resolver):
        environment = ProbeEnvironment(
            Outbound(egress=EgressRules(Egress(("198.51.100.0/24",), False)), resolver=resolver)
        )
        for host in ("127.0.0.1", "inside.test"):
            result = await ask(server.url(host=host), environment=environment)
            assert (result.judgement.outcome, result.judgement.reason) == (Outcome.UNKNOWN, Reason.EGRESS_DENIED)
    assert server.connections == 0


@pytest.mark.parametrize(
    "location",
    [
        "http://169.254.169.254/latest/meta-data/",
        "http://[::ffff:169.254.169.254]/",
        "http://10.0.0.1/",
        "ftp://127.0.0.1/",
        "http://a:port/",
    ],
)
async def test_37_egress_is_checked_on_every_redirect(location: str) -> None:
    """A redirect to a forbidden address, or to what is not an http URL, is INVALID/REDIRECT_REFUSED."""
    async with serving(says(302, b"", {"Location": location})) as server:
        result = await ask(server.url())
    assert (result.judgement.outcome, result.judgement.reason) == (Outcome.INVALID, Reason.REDIRECT_REFUSED)


async def test_prober_error() -> None:
    """A crash of our own, here over a missing param, is UNKNOWN/PROBER_ERROR."""
    result = await ask("http://127.0.0.1:1/${missing}")
    assert (result.judgement.outcome, result.judgement.reason) == (Outcome.UNKNOWN, Reason.PROBER_ERROR)
