"""Client certificates and real servers that require one (docs/probing.md §2: Auth)."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from math import inf
from pathlib import Path
from time import time
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from services.core.model.outcome import Outcome, Reason
from services.core.model.probe import Tls
from services.prober.kinds.kind import ProbeEnvironment
from services.prober.secrets import MissingSecretError
from services.prober.tls.contexts import TlsContexts
from services.prober.tls.handshake import refused_certificate
from services.prober.transport.addresses import Outbound
from services.prober.transport.egress import EgressRules
from tests.support.servers.authority import Authority
from tests.support.servers.http_server import LOOPBACK, Handler, Request, answer, ask, says, serving

VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """A certificate authority."""
    return Authority.make(tmp_path)


def demanding(authority: Authority, version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> ssl.SSLContext:
    """Return a server's TLS context that accepts only clients of the authority, in this version of TLS."""
    context = authority.context("127.0.0.1")
    context.minimum_version = context.maximum_version = version
    context.load_verify_locations(authority.reference.removeprefix("file:"))
    context.verify_mode = ssl.CERT_REQUIRED
    return context


def profile(authority: Authority, files: tuple[Path, Path]) -> Tls:
    """Return a TLS profile that trusts the authority and has these files."""
    return Tls(ca=authority.reference, certificate=f"file:{files[0]}", key=f"file:{files[1]}")


def noting(seen: list[Any], handler: Handler) -> Handler:
    """Return a handler that notes the name in each client's certificate, None for clients without."""

    async def handle(request: Request, writer: asyncio.StreamWriter) -> None:
        shown = writer.get_extra_info("peercert")
        seen.append(dict(part[0] for part in shown["subject"])["commonName"] if shown else None)
        await handler(request, writer)

    return handle


@asynccontextmanager
async def blocking(context: ssl.SSLContext) -> AsyncIterator[str]:
    """Return the URL of a server that sends an alert for what it refuses in the handshake, as most do."""

    def serve() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                with connection, suppress(OSError):
                    connection.settimeout(5)
                    with context.wrap_socket(connection, server_side=True) as secured:
                        secured.recv(65536)
                        secured.sendall(answer())

    with socket.create_server(("127.0.0.1", 0)) as listener:
        task = asyncio.create_task(asyncio.to_thread(serve))
        try:
            yield f"https://127.0.0.1:{listener.getsockname()[1]}/"
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            await task


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_client_certificate_is_shown(authority: Authority, version: ssl.TLSVersion) -> None:
    """A server that requires a certificate gets the profile's and answers."""
    seen: list[Any] = []
    async with serving(noting(seen, says()), tls=demanding(authority, version)) as server:
        result = await ask(server.url(), tls=profile(authority, authority.client(name="monitor")))
    assert result.judgement.reason is Reason.OK
    assert seen == ["monitor"]


async def test_30_a_client_certificate_is_shown_to_the_target_only(authority: Authority) -> None:
    """A redirect within the target's origin sends the certificate again; one to another origin does not."""
    at_home: list[Any] = []
    abroad: list[Any] = []
    curious = demanding(authority)
    curious.verify_mode = ssl.CERT_OPTIONAL
    async with serving(noting(abroad, says()), tls=curious) as stranger:

        async def handle(request: Request, writer: asyncio.StreamWriter) -> None:
            there = stranger.url() if request.path == "/next" else "/next"
            writer.write(answer(302, b"", {"Location": there}))

        async with serving(noting(at_home, handle), tls=demanding(authority)) as server:
            result = await ask(server.url(), tls=profile(authority, authority.client(name="monitor")))
    assert (result.judgement.reason, result.observation.redirects) == (Reason.OK, 2)
    assert at_home == ["monitor", "monitor"]
    assert abroad == [None]


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_certificate_the_server_does_not_take(
    authority: Authority, tmp_path: Path, version: ssl.TLSVersion
) -> None:
    """A certificate of another authority is NOT_ANSWERED/AUTH_REFUSED, refused within the handshake or after it."""
    stranger = Authority.make(tmp_path, "Another Authority")
    async with blocking(demanding(authority, version)) as url:
        refused = await ask(url, tls=profile(authority, stranger.client()))
        taken = await ask(url, tls=profile(authority, authority.client()))
    assert (refused.judgement.outcome, refused.judgement.reason) == (Outcome.NOT_ANSWERED, Reason.AUTH_REFUSED)
    assert "unknown ca" in refused.judgement.detail
    assert refused.observation.certificate is not None
    assert taken.judgement.reason is Reason.OK


async def test_no_certificate_where_one_is_required(authority: Authority) -> None:
    """A server that requires a certificate which the definition does not have has refused us."""
    async with blocking(demanding(authority)) as url:
        result = await ask(url, tls=Tls(ca=authority.reference))
    assert (result.judgement.outcome, result.judgement.reason) == (Outcome.NOT_ANSWERED, Reason.AUTH_REFUSED)
    assert "certificate required" in result.judgement.detail


@pytest.mark.parametrize(
    ("version", "reason"), [(VERSIONS[0], Reason.TLS_FAILED), (VERSIONS[1], Reason.OK)], ids=["TLS 1.2", "TLS 1.3"]
)
async def test_a_handshake_alone_where_a_certificate_is_required(
    authority: Authority, version: ssl.TLSVersion, reason: Reason
) -> None:
    """A handshake without the required certificate fails where the server reports it: in TLS 1.3 it ends before."""
    async with blocking(demanding(authority, version)) as url:
        target = url.replace("https://", "tls://").rstrip("/")
        result = await ask(target, kind="tls", tls=Tls(ca=authority.reference))
    assert result.judgement.reason is reason


@pytest.mark.parametrize("version", VERSIONS)
async def test_24_a_server_that_is_not_believed_cannot_refuse_us(
    authority: Authority, tmp_path: Path, version: ssl.TLSVersion
) -> None:
    """An alert about our certificate from a server that does not verify does not count: it was never connected to."""
    stranger = Authority.make(tmp_path, "Another Authority")
    tls = profile(authority, authority.client())
    async with blocking(demanding(stranger, version)) as url:
        result = await ask(url, tls=tls)
    assert (result.judgement.outcome, result.judgement.reason) == (Outcome.NOT_CONNECTED, Reason.CERTIFICATE_UNTRUSTED)
    assert result.observation.certificate is not None


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_certificate_that_has_expired_for_the_server(authority: Authority, version: ssl.TLSVersion) -> None:
    """An expired certificate, here of an intermediate authority, is our own fault, not the target's."""
    between = authority.below("Intermediate", days=(-9, -2))
    async with blocking(demanding(authority, version)) as url:
        result = await ask(url, tls=profile(authority, between.client(chain=(between,))))
    assert (result.judgement.outcome, result.judgement.reason) == (Outcome.UNKNOWN, Reason.OWN_CREDENTIAL)
    assert "certificate expired" in result.judgement.detail


@asynccontextmanager
async def alerting(code: int) -> AsyncIterator[str]:
    """Return the URL of a server that answers each ClientHello with a fatal alert of this code."""

    async def alert(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        writer.write(bytes([21, 3, 3, 0, 2, 2, code]))
        writer.close()

    listener = await asyncio.start_server(alert, "127.0.0.1", 0)
    async with listener:
        yield f"https://127.0.0.1:{listener.sockets[0].getsockname()[1]}/"


@pytest.mark.parametrize(
    ("code", "without", "shown"),
    [
        (45, Reason.TLS_FAILED, Reason.AUTH_REFUSED),
        (42, Reason.TLS_FAILED, Reason.AUTH_REFUSED),
        (116, Reason.AUTH_REFUSED, Reason.AUTH_REFUSED),
        (40, Reason.TLS_FAILED, Reason.TLS_FAILED),
    ],
    ids=["expired", "bad", "required", "handshake failure"],
)
async def test_a_server_cannot_blame_a_certificate_that_is_good(
    authority: Authority, code: int, without: Reason, shown: Reason
) -> None:
    """An alert about a client certificate is never our own fault where we have none, or one that has not expired."""
    async with alerting(code) as url:
        plain = await ask(url, tls=Tls(ca=authority.reference))
        own = await ask(url, tls=profile(authority, authority.client()))
    assert (plain.judgement.reason, own.judgement.reason) == (without, shown)


@pytest.mark.parametrize(
    ("alert", "refused"),
    [
        ("SSLV3_ALERT_BAD_CERTIFICATE", True),
        ("SSLV3_ALERT_UNSUPPORTED_CERTIFICATE", True),
        ("SSLV3_ALERT_CERTIFICATE_REVOKED", True),
        ("SSLV3_ALERT_CERTIFICATE_UNKNOWN", True),
        ("TLSV1_ALERT_UNKNOWN_CA", True),
        ("TLSV1_ALERT_ACCESS_DENIED", True),
        ("TLSV13_ALERT_CERTIFICATE_REQUIRED", True),
        ("SSLV3_ALERT_HANDSHAKE_FAILURE", False),
        ("TLSV1_ALERT_PROTOCOL_VERSION", False),
        ("CERTIFICATE_VERIFY_FAILED", False),
        (None, False),
    ],
)
def test_which_alerts_are_about_our_certificate(alert: str | None, refused: bool) -> None:
    """Only alerts that cannot mean anything else count as a refusal of our certificate."""
    error = ssl.SSLError(1, "whatever")
    error.reason = alert  # type: ignore[assignment]  # None when OpenSSL has no name for it
    assert (refused_certificate(error, inf) is not None) is refused


@pytest.mark.parametrize(("days", "said"), [((-30, -1), "expired on"), ((1, 30), "is valid from")])
async def test_own_certificate_out_of_its_dates(authority: Authority, days: tuple[float, float], said: str) -> None:
    """A certificate of ours that is not valid now is UNKNOWN/OWN_CREDENTIAL, and no connection is made."""
    files = authority.client(days=days)
    async with serving(says(), tls=demanding(authority)) as server:
        result = await ask(server.url(), tls=profile(authority, files))
    assert (result.judgement.outcome, result.judgement.reason) == (Outcome.UNKNOWN, Reason.OWN_CREDENTIAL)
    assert f"{files[0].name} {said}" in result.judgement.detail
    assert server.connections == 0


async def test_own_certificate_expires_while_in_use(authority: Authority) -> None:
    """A loaded certificate is not used any more once it has expired."""
    now = [time()]
    contexts = TlsContexts(wall=lambda: now[0])
    certificate, key = (f"file:{path}" for path in authority.client(days=(-1, 30)))
    contexts.get((), certificate, key)
    now[0] += 31 * 86_400
    with pytest.raises(MissingSecretError, match="expired on"):
        contexts.get((), certificate, key)


@pytest.mark.parametrize("fault", ["no certificate", "no key", "not its key", "garbage", "locked", "a folder"])
async def test_own_certificate_that_cannot_be_used(authority: Authority, fault: str, tmp_path: Path) -> None:
    """Any fault of our files is UNKNOWN/OWN_CREDENTIAL: the detail has their names, not their content and folder."""
    certificate, key = authority.client()
    if fault == "no certificate":
        certificate.unlink()
    elif fault == "no key":
        key.unlink()
    elif fault == "not its key":
        key.write_bytes(authority.client()[1].read_bytes())
    elif fault == "garbage":
        certificate.write_text("s3cr3t")
    elif fault == "locked":
        private = load_pem_private_key(key.read_bytes(), None)
        key.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x")))
    else:
        key.unlink()
        key.mkdir()
    async with serving(says(), tls=demanding(authority)) as server:
        result = await ask(server.url(), tls=profile(authority, (certificate, key)))
    assert (result.judgement.outcome, result.judgement.reason) == (Outcome.UNKNOWN, Reason.OWN_CREDENTIAL)
    assert certificate.name in result.judgement.detail or key.name in result.judgement.detail
    assert "s3cr3t" not in result.judgement.detail
    assert str(tmp_path) not in result.judgement.detail
    assert server.connections == 0


async def test_replaced_files_are_noticed(authority: Authority) -> None:
    """A replaced certificate and key are used within ten seconds, without a look at the disk before."""
    now = [0.0]
    environment = ProbeEnvironment(Outbound(egress=EgressRules(LOOPBACK), contexts=TlsContexts(clock=lambda: now[0])))
    files = authority.client(name="old")
    seen: list[Any] = []
    async with serving(noting(seen, says()), tls=demanding(authority)) as server:
        for moment in (0.0, 9.9, 10.1):
            now[0] = moment
            assert (
                await ask(server.url(), environment=environment, tls=profile(authority, files))
            ).judgement.reason is Reason.OK
            for new, path in zip(authority.client(name="new"), files, strict=True):
                new.replace(path)
    await environment.close()
    assert seen == ["old", "old", "new"]
