"""A real HTTP/2 server on loopback, plain and over TLS, whose handlers answer or misbehave."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import cast

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import DataReceived, RequestReceived, StreamEnded
from h2.exceptions import ProtocolError

from services.core.model.probe import Expect
from services.prober.attempt import ProbeResult
from tests.support.servers.http_server import ask

Headers = list[tuple[str, str]]


@dataclass
class Asked:
    """One request as it arrived: pseudo-headers by name, without the colon, and the others in order."""

    pseudo: dict[str, str]
    headers: Headers
    body: bytearray = field(default_factory=bytearray)

    @property
    def path(self) -> str:
        return self.pseudo["path"]

    def header(self, name: str) -> str | None:
        return next((value for given, value in self.headers if given == name), None)


class Reply:
    """Sends the answer of a handler."""

    def __init__(self, talk: _Talk) -> None:
        self.talk = talk

    def headers(self, status: int = 200, headers: Headers | None = None, *, end: bool = False) -> None:
        self.talk.h2.send_headers(1, [(":status", str(status)), *(headers or [])], end_stream=end)
        self.talk.flush()

    def trailers(self, headers: Headers) -> None:
        self.talk.h2.send_headers(1, headers, end_stream=True)
        self.talk.flush()

    async def data(self, data: bytes, *, end: bool = True) -> None:
        """Send data within the client's flow-control windows."""
        left = memoryview(data)
        while True:
            h2 = self.talk.h2
            room = min(h2.local_flow_control_window(1), h2.max_outbound_frame_size, len(left))
            if left and room <= 0:
                self.talk.moved.clear()
                await self.talk.moved.wait()
                continue
            h2.send_data(1, bytes(left[:room]), end_stream=end and room == len(left))
            left = left[room:]
            self.talk.flush()
            if not left:
                return

    def reset(self, code: ErrorCodes) -> None:
        self.talk.h2.reset_stream(1, code)
        self.talk.flush()

    def raw(self, data: bytes) -> None:
        """Send raw bytes on the connection."""
        assert self.talk.transport is not None
        self.talk.transport.write(data)


Http2Handler = Callable[[Asked, Reply], Awaitable[None]]


@dataclass
class Http2Server:
    """A running server: its port, the requests, the number of connections, and the protocol each negotiated."""

    port: int
    secure: bool
    requests: list[Asked] = field(default_factory=list)
    connections: int = 0
    agreed: list[str | None] = field(default_factory=list)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def url(self, path: str = "/") -> str:
        return f"{'https' if self.secure else 'http'}://127.0.0.1:{self.port}{path}"


class _Talk(asyncio.Protocol):
    def __init__(self, server: Http2Server, handler: Http2Handler) -> None:
        self.server = server
        self.handler = handler
        self.h2 = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))
        self.moved = asyncio.Event()
        self.transport: asyncio.Transport | None = None  # until the handshake is done
        self.asked: Asked | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.server.connections += 1
        secured = transport.get_extra_info("ssl_object")
        self.server.agreed.append(secured.selected_alpn_protocol() if secured else None)
        self.h2.initiate_connection()
        self.flush()

    def flush(self) -> None:
        assert self.transport is not None
        self.transport.write(self.h2.data_to_send())

    def data_received(self, data: bytes) -> None:
        with suppress(ProtocolError):
            for event in self.h2.receive_data(data):
                if isinstance(event, RequestReceived):
                    headers = cast("Headers", event.headers)
                    pseudo = {name[1:]: value for name, value in headers if name.startswith(":")}
                    self.asked = Asked(pseudo, [header for header in headers if not header[0].startswith(":")])
                elif isinstance(event, DataReceived) and self.asked:
                    self.asked.body += event.data
                    self.h2.acknowledge_received_data(event.flow_controlled_length, 1)
                elif isinstance(event, StreamEnded) and self.asked:
                    self.server.requests.append(self.asked)
                    task = asyncio.ensure_future(self._handle(self.asked))
                    self.server.tasks.add(task)
                    task.add_done_callback(self.server.tasks.discard)
        self.moved.set()
        self.flush()

    async def _handle(self, asked: Asked) -> None:
        await self.handler(asked, Reply(self))


def replies(status: int = 200, body: bytes = b"", headers: Headers | None = None) -> Http2Handler:
    """A handler that always sends the same answer."""

    async def handle(_: Asked, reply: Reply) -> None:
        reply.headers(status, headers)
        await reply.data(body)

    return handle


@asynccontextmanager
async def serving_http2(handler: Http2Handler, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[Http2Server]:
    """Run an HTTP/2 server: negotiated by ALPN over TLS, with prior knowledge over plain TCP."""
    if tls is not None:
        tls.set_alpn_protocols(["http/1.1", "h2"])
    talks: list[_Talk] = []

    def made() -> _Talk:
        talks.append(_Talk(server, handler))
        return talks[-1]

    listener = await asyncio.get_running_loop().create_server(made, "127.0.0.1", 0, ssl=tls)
    server = Http2Server(listener.sockets[0].getsockname()[1], tls is not None)
    try:
        yield server
    finally:
        listener.close()
        tasks = list(server.tasks)
        for task in tasks:
            task.cancel()
        for talk in talks:
            if talk.transport is not None:
                talk.transport.abort()
        for outcome in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(outcome, Exception):
                raise outcome


async def ask2(url: str, expect: Expect | None = None, **definition: object) -> ProbeResult:
    """Probe one URL once over HTTP/2."""
    return await ask(url, expect, version="2", **definition)  # type: ignore[arg-type]
