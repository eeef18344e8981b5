"""Serves /metrics and /health over HTTP from a thread of their own, so that they answer while the component is busy.

A connection has one request and ends with its answer. Anyone who reaches the port may connect, so connections are
bounded in number and in time. The oldest connection that has not sent its request makes room for a new one.
"""

from __future__ import annotations

import asyncio
import gzip
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from socket import socket
from threading import Thread
from typing import TYPE_CHECKING

import h11
import uvloop
from prometheus_client import make_wsgi_app
from prometheus_client.exposition import choose_encoder

from services.core.metrics import PageRegistry
from services.core.network import listening

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

MAX_CONNECTIONS = 64
"""Connections at once; Prometheus and a probe of /health have one each."""

MAX_HEAD_BYTES = 16 << 10
"""Length of the head of a request; Prometheus sends some 300 bytes."""

REQUEST_SECONDS = 5.0
"""How long a request may take to arrive."""

ANSWER_SECONDS = 30.0
"""How long making and reading an answer may take: Prometheus gives up after 10 s unless told otherwise."""

_LEVEL = 1
"""The level of gzip: a page of 1.6 MB takes 4 ms instead of 30, and a sixth more bytes."""

_REFUSED = re.compile(r"q=0(\.0*)?")

Answer = tuple[int, list[tuple[str, str]], bytes]
"""Status, headers and body."""


@contextmanager
def serving_pages(host: str, port: int, registry: PageRegistry, health: Callable[[], Answer]) -> Iterator[None]:
    """Serve on an address for as long as the context lasts. Raises OSError when nothing can listen there."""
    listener = listening(host, port)
    loop, stop = uvloop.new_event_loop(), asyncio.Event()
    server = _Server(registry, health)
    thread = Thread(target=loop.run_until_complete, args=(server.serve(listener, stop),), daemon=True)
    thread.start()
    try:
        yield
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()


class _Server:
    def __init__(self, registry: PageRegistry, health: Callable[[], Answer]) -> None:
        self._registry = registry
        self._scraped = make_wsgi_app(registry)
        self._health = health
        self._open: set[asyncio.Task[None]] = set()
        self._waiting: dict[asyncio.Task[None], None] = {}  # those without a request yet, the oldest first
        self._scraping = ThreadPoolExecutor(1, "scrape")  # one at a time: each takes time of the component

    async def serve(self, listener: socket, stop: asyncio.Event) -> None:
        server = await asyncio.start_server(self._connected, sock=listener)
        await stop.wait()
        server.close()
        for connection in self._open:
            connection.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)
        self._scraping.shutdown(cancel_futures=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = asyncio.current_task()
        assert connection is not None
        try:
            if len(self._open) >= MAX_CONNECTIONS:
                if not self._waiting:
                    return
                oldest = next(iter(self._waiting))
                self._forget(oldest)
                oldest.cancel()
            self._open.add(connection)
            self._waiting[connection] = None
            with suppress(ConnectionError, TimeoutError):
                await self._converse(connection, reader, writer)
        finally:
            self._forget(connection)
            writer.transport.abort()

    def _forget(self, connection: asyncio.Task[None]) -> None:
        self._open.discard(connection)
        self._waiting.pop(connection, None)

    async def _converse(
        self, connection: asyncio.Task[None], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        http = h11.Connection(h11.SERVER, MAX_HEAD_BYTES)
        try:
            async with asyncio.timeout(REQUEST_SECONDS):
                while (request := http.next_event()) is h11.NEED_DATA:
                    http.receive_data(await reader.read(MAX_HEAD_BYTES))
            if not isinstance(request, h11.Request):
                return  # closed without a request
            self._waiting.pop(connection, None)
            async with asyncio.timeout(ANSWER_SECONDS):
                await _send(writer, http, await self._answer(request), head_only=request.method == b"HEAD")
        except h11.RemoteProtocolError as error:
            await _send(writer, http, text_page(error.error_status_hint, "this is no request of HTTP/1.1\n"))

    async def _answer(self, request: h11.Request) -> Answer:
        path, _, query = request.target.decode("latin-1").partition("?")
        if path == "/health":
            return self._health()
        if path != "/metrics":
            return text_page(404, "see /metrics and /health\n")
        environ = {
            f"HTTP_{name.decode().upper().replace('-', '_')}": value.decode("latin-1")
            for name, value in request.headers
        }
        environ |= {"REQUEST_METHOD": request.method.decode(), "PATH_INFO": path, "QUERY_STRING": query}
        return await asyncio.get_running_loop().run_in_executor(self._scraping, self._scrape, environ)

    def _scrape(self, environ: WSGIEnvironment) -> Answer:
        packed = accepts_gzip(environ.pop("HTTP_ACCEPT_ENCODING", ""))
        if environ["REQUEST_METHOD"] == "GET" and not environ["QUERY_STRING"]:
            encode, content_type = choose_encoder(environ.get("HTTP_ACCEPT", ""))
            body, headers = self._registry.text(content_type, encode), [("Content-Type", content_type)]
            if packed:
                body = gzip.compress(body, _LEVEL)
                headers.append(("Content-Encoding", "gzip"))
            return 200, headers, body
        return self._asked({**environ, "HTTP_ACCEPT_ENCODING": "gzip"} if packed else environ)

    def _asked(self, environ: WSGIEnvironment) -> Answer:
        """Answer as prometheus-client does, which knows other methods and the names of metrics in a query."""
        started: list[tuple[str, list[tuple[str, str]]]] = []
        body = b"".join(self._scraped(environ, lambda status, headers: started.append((status, headers))))
        [(status, headers)] = started
        return int(status.split()[0]), headers, body


def accepts_gzip(header: str) -> bool:
    """Return whether a client takes gzip. The weight 0 says that it does not (RFC 9110 §12.5.3)."""
    for one in header.lower().split(","):
        coding, *parameters = map(str.strip, one.split(";"))
        if coding == "gzip":
            return not any(map(_REFUSED.fullmatch, parameters))
    return False


def text_page(status: int, text: str) -> Answer:
    """Return an answer of plain text."""
    return status, [("Content-Type", "text/plain; charset=utf-8")], text.encode()


async def _send(writer: asyncio.StreamWriter, http: h11.Connection, answer: Answer, *, head_only: bool = False) -> None:
    status, headers, body = answer
    framing = [("Content-Length", str(len(body))), ("Connection", "close")]
    events = [
        h11.Response(status_code=status, headers=[*headers, *framing]),
        h11.Data(data=b"" if head_only else body),
        h11.EndOfMessage(),
    ]
    writer.transport.set_write_buffer_limits(0)  # so that draining waits until the system has all of it
    writer.writelines([http.send(event) or b"" for event in events])
    await writer.drain()
