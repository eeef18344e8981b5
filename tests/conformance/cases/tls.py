"""Behaviours 19-22: TLS where it is required, trust, names. Not a test itself."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID as Purpose

from services.core.model.outcome import Reason
from tests.conformance.case import FAILS, PASSES, Case, Place, Stage
from tests.conformance.servers import Context, Scene, http, leading, leaf, secured
from tests.support.servers.http_server import Request, answer, says, serving

__all__ = ["CASES"]

_OURS = "kind: http\ntls: {ca: file:ca.pem}"
_THEIRS = "prober: http\nhttp: {tls_config: {ca_file: ca.pem}}"
_LOOSE = "kind: http\ntls: {verify: false}"
_THEIRS_LOOSE = "prober: http\nhttp: {tls_config: {insecure_skip_verify: true}}"


def _plain() -> Scene:
    """A server that answers everything in plain HTTP, at an https target."""

    async def complain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        writer.write(answer(400, b"speak http"))
        writer.close()

    @asynccontextmanager
    async def scene(_: Place) -> AsyncIterator[Stage]:
        async with await asyncio.start_server(complain, "127.0.0.1", 0) as listener:
            yield Stage(f"https://127.0.0.1:{listener.sockets[0].getsockname()[1]}/")

    return scene


_REQUIRED = "kind: http\ntls: {ca: file:ca.pem}\nexpect: {tls: true}"
_THEY_REQUIRE = "prober: http\nhttp: {fail_if_not_ssl: true, tls_config: {ca_file: ca.pem}}"
_HTTPS = (
    Case(19, "plain http where https is required", http(says()), _REQUIRED, _THEY_REQUIRE, Reason.NOT_SECURE, FAILS),
    Case(19, "https where it is required", secured(leaf()), _REQUIRED, _THEY_REQUIRE, Reason.OK, PASSES),
    Case(
        19,
        "a redirect to https where it is required",
        leading(secured(leaf())),
        _REQUIRED,
        _THEY_REQUIRE,
        Reason.OK,
        PASSES,
        {"redirects": 1},
    ),
    Case(
        19,
        "a redirect from https where it is required",
        leading(http(says()), tls=leaf()),
        _REQUIRED,
        _THEY_REQUIRE,
        Reason.REDIRECT_REFUSED,
        FAILS,
    ),
    Case(
        19,
        "a redirect from https where nothing is required",
        leading(http(says()), tls=leaf()),
        _OURS,
        _THEIRS,
        Reason.REDIRECT_REFUSED,
        PASSES,
        differs="a target that is https in the register is asked for over https to the end: a downgrade is no answer",
    ),
    Case(
        19,
        "plain http behind an https target",
        _plain(),
        _OURS,
        _THEIRS,
        Reason.TLS_NOT_SPOKEN,
        FAILS,
    ),
)

_TRUST = (
    Case(20, "an authority of ours", secured(leaf()), _OURS, _THEIRS, Reason.OK, PASSES, {"earliest_expiry": 30}),
    Case(
        20,
        "self-signed",
        secured(leaf(self_signed=True)),
        _OURS,
        _THEIRS,
        Reason.CERTIFICATE_UNTRUSTED,
        FAILS,
    ),
    Case(
        20,
        "self-signed and not verified",
        secured(leaf(self_signed=True)),
        _LOOSE,
        _THEIRS_LOOSE,
        Reason.OK,
        PASSES,
        {"earliest_expiry": 30},
    ),
    Case(
        20,
        "an authority the system does not know",
        secured(leaf()),
        "kind: http",
        "prober: http",
        Reason.CERTIFICATE_UNTRUSTED,
        FAILS,
    ),
)


def _below(*purposes: x509.ObjectIdentifier) -> Scene:
    """A chain whose intermediate is limited to purposes."""

    def context(place: Place) -> ssl.SSLContext:
        intermediate = place.authority.below("Intermediate", purposes=purposes)
        return intermediate.context("127.0.0.1", chain=(intermediate,))

    return secured(context)


def _weak(place: Place) -> ssl.SSLContext:
    """A chain whose intermediate has a key of 1024 bits."""
    key = rsa.generate_private_key(65537, 1024)
    intermediate = place.authority.below("Intermediate", key=key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers("DEFAULT:@SECLEVEL=0")  # otherwise OpenSSL would not even present it
    context.load_cert_chain(intermediate.server("127.0.0.1", chain=(intermediate,)))
    return context


_CHAINS = (
    Case(20, "an authority for servers", _below(Purpose.SERVER_AUTH), _OURS, _THEIRS, Reason.OK, PASSES),
    Case(20, "an authority for anything", _below(Purpose.ANY_EXTENDED_KEY_USAGE), _OURS, _THEIRS, Reason.OK, PASSES),
    Case(
        20,
        "an authority for clients only",
        _below(Purpose.CLIENT_AUTH),
        _OURS,
        _THEIRS,
        Reason.CERTIFICATE_UNTRUSTED,
        FAILS,
    ),
    Case(
        20,
        "an authority with a weak key",
        secured(_weak),
        _OURS,
        _THEIRS,
        Reason.CERTIFICATE_UNTRUSTED,
        PASSES,
        differs="RSA of 1024 bits vouches for nobody: OpenSSL refuses it too, at its usual level; Go does not look",
    ),
)


def _hearing(heard: str | None, *names: str) -> Scene:
    """A server that answers 200 only if the handshake named ``heard``; its certificate is for ``names``."""

    @asynccontextmanager
    async def scene(place: Place) -> AsyncIterator[Stage]:
        said: list[str | None] = []
        context = place.authority.context(*names)
        context.sni_callback = lambda _connection, name, _context: said.append(name)

        async def handle(_: Request, writer: asyncio.StreamWriter) -> None:
            writer.write(answer(200 if said == [heard] else 400))

        called = "localhost" if heard == "localhost" else "127.0.0.1"
        async with serving(handle, tls=context) as server:
            yield Stage(server.url(host=called))

    return scene


def _called(name: str) -> tuple[str, str]:
    """Return both definitions of a target that is verified by this name."""
    return (
        f"kind: http\ntls: {{ca: file:ca.pem, server_name: {name}}}",
        f"prober: http\nhttp: {{tls_config: {{ca_file: ca.pem, server_name: {name}}}}}",
    )


_NAMED, _THEY_NAME = _called("tax.example")
_IPV4 = "prober: http\nhttp: {preferred_ip_protocol: ip4, tls_config: {ca_file: ca.pem}}"
_NAMES = (
    Case(21, "the target's name", _hearing("localhost", "localhost"), _OURS, _IPV4, Reason.OK, PASSES),
    Case(21, "the target's address", _hearing(None, "127.0.0.1"), _OURS, _THEIRS, Reason.OK, PASSES),
    Case(21, "the override", _hearing("tax.example", "tax.example"), _NAMED, _THEY_NAME, Reason.OK, PASSES),
    Case(21, "a wildcard", secured(leaf("*.example")), _NAMED, _THEY_NAME, Reason.OK, PASSES),
    Case(21, "an underscore", secured(leaf("tax_a.example")), *_called("tax_a.example"), Reason.OK, PASSES),
    Case(21, "an underscore by a wildcard", secured(leaf("*.example")), *_called("tax_a.example"), Reason.OK, PASSES),
    Case(
        21,
        "a name in Persian",
        secured(leaf("xn--mgba3a4f16a.example")),
        *_called("ایران.example"),
        Reason.OK,
        FAILS,
        differs="a name is written as people write it, and goes as its A-label; blackbox_exporter sends it as it is",
    ),
    Case(
        22,
        "an underscore in another name",
        secured(leaf("tax_b.example", "*.city.example", "example")),
        *_called("tax_a.example"),
        Reason.CERTIFICATE_NAME_MISMATCH,
        FAILS,
    ),
    Case(
        21,
        "the override ends where another origin begins",
        leading(secured(leaf()), tls=leaf("tax.example")),
        _NAMED,
        _THEY_NAME,
        Reason.OK,
        PASSES,
        {"redirects": 1},
    ),
    Case(
        21,
        "a Host header is no override",
        secured(leaf("tax.example")),
        f"{_OURS}\nheaders: {{Host: tax.example}}",
        "prober: http\nhttp: {headers: {Host: tax.example}, tls_config: {ca_file: ca.pem}}",
        Reason.CERTIFICATE_NAME_MISMATCH,
        PASSES,
        differs="a header says which site is meant, not whom to trust: another name to verify stands under tls",
    ),
    Case(
        22,
        "another name",
        secured(leaf("other.example")),
        _OURS,
        _THEIRS,
        Reason.CERTIFICATE_NAME_MISMATCH,
        FAILS,
    ),
    Case(
        22,
        "another name than the override",
        secured(leaf()),
        _NAMED,
        _THEY_NAME,
        Reason.CERTIFICATE_NAME_MISMATCH,
        FAILS,
    ),
    Case(
        22,
        "a wildcard reaches one level",
        secured(leaf("*.example")),
        _NAMED.replace("tax.", "tax.city."),
        _THEY_NAME.replace("tax.", "tax.city."),
        Reason.CERTIFICATE_NAME_MISMATCH,
        FAILS,
    ),
    Case(
        22,
        "another name that is not verified",
        secured(leaf("other.example")),
        _LOOSE,
        _THEIRS_LOOSE,
        Reason.OK,
        PASSES,
    ),
)


def _limited(place: Place) -> ssl.SSLContext:
    """A server that speaks no TLS newer than 1.2."""
    context = leaf()(place)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    return context


def _version(name: str, tls: Context, ours: str, theirs: str, reason: Reason, spoken: str | None) -> Case:
    probe, module = _OURS.replace("ca.pem", f"ca.pem, {ours}"), _THEIRS.replace("ca.pem", f"ca.pem, {theirs}")
    facts = {"tls": spoken} if spoken else {}
    return Case(19, name, secured(tls), probe, module, reason, PASSES if reason is Reason.OK else FAILS, facts)


_LEAST, _THEIR_LEAST = 'min_version: "1.3"', "min_version: TLS13"
_MOST, _THEIR_MOST = 'max_version: "1.2"', "max_version: TLS12"
_VERSIONS = (
    _version("TLS 1.3 at least, and there", leaf(), _LEAST, _THEIR_LEAST, Reason.OK, "TLSv1.3"),
    _version("TLS 1.3 at least, and not there", _limited, _LEAST, _THEIR_LEAST, Reason.TLS_FAILED, None),
    _version("TLS 1.2 at most", leaf(), _MOST, _THEIR_MOST, Reason.OK, "TLSv1.2"),
)

CASES = (*_HTTPS, *_TRUST, *_CHAINS, *_NAMES, *_VERSIONS)
