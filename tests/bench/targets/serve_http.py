"""HTTP/1.1 servers for benchmarks, with one fixed answer to each request that holds what it must."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import cast

from tests.bench.targets.apart import Urls
from tests.bench.targets.target import BODY
from tests.support.servers.authority import Authority

__all__ = ["MEMBER", "SOAP", "serving_http"]

MEMBER = "IR/GOV/1001/portal"
SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
_ENVELOPE = (
    f'<s:Envelope xmlns:s="{SOAP}"><s:Body>'
    '<t:answer xmlns:t="urn:bench"><t:clear>true</t:clear></t:answer>'
    "</s:Body></s:Envelope>"
).encode()


def _answer(body: bytes, kind: bytes = b"application/json") -> bytes:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: %b\r\nServer: bench\r\nDate: Thu, 01 Jan 2026 00:00:00 GMT\r\n" % kind
    return head + b"Content-Length: %d\r\n\r\n" % len(body) + body


@dataclass(frozen=True, slots=True)
class _Given:
    """An answer, and the bytes that a request must hold for it."""

    answer: bytes
    needs: bytes = b""


_FORBIDDEN = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"
_ANSWERS: Mapping[bytes, _Given] = {
    b"/": _Given(_answer(BODY)),
    b"/soap": _Given(_answer(_ENVELOPE, b"text/xml"), b'SOAPAction: "urn:ask"'),
    b"/r1/IR/GOV/2002/registry/person": _Given(_answer(BODY), b"X-Road-Client: " + MEMBER.encode()),
    b"/bus": _Given(_answer(_ENVELOPE, b"text/xml"), b"protocolVersion>4.0<"),
    b"/token": _Given(_answer(b'{"access_token": "t0ken", "token_type": "Bearer", "expires_in": 3600}'), b"Basic "),
    b"/private": _Given(_answer(BODY), b"Authorization: Bearer t0ken\r\n"),
    b"/login": _Given(_answer(b'{"session": "s3ssion"}')),
    b"/ask?session=s3ssion": _Given(_answer(BODY)),
    b"/paper?session=s3ssion": _Given(_answer(BODY)),
}


class _Answering(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Answer. On loopback a prober's data comes in one piece."""
        given = _ANSWERS.get(data.split(b" ", 2)[1])
        self._transport.write(given.answer if given is not None and given.needs in data else _FORBIDDEN)


@asynccontextmanager
async def serving_http(authority: Authority) -> AsyncIterator[Urls]:
    """Serve plain HTTP, HTTPS, and HTTPS for clients with certificates from the authority."""
    loop = asyncio.get_running_loop()
    mutual = authority.context("127.0.0.1")
    mutual.load_verify_locations(authority.reference.removeprefix("file:"))
    mutual.verify_mode = ssl.CERT_REQUIRED
    contexts = {"http": None, "https": authority.context("127.0.0.1"), "mutual": mutual}
    servers = {
        name: await loop.create_server(_Answering, "127.0.0.1", 0, backlog=4096, ssl=context)
        for name, context in contexts.items()
    }
    yield {
        name: f"{'https' if contexts[name] else 'http'}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        for name, server in servers.items()
    }
    for server in servers.values():
        server.close()
