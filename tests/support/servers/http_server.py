"""Real HTTP servers on loopback, plain, over TLS and misbehaving, and a single probe of them."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field

import structlog

from services.core.model.measurement import Target
from services.core.model.probe import Expect, Probe
from services.core.model.register import Egress
from services.prober.assignments import Assignment
from services.prober.attempt import ProbeResult, ProbeRunner
from services.prober.kinds.kind import ProbeEnvironment
from services.prober.scheduling.schedule import ScheduleEntry
from services.prober.transport.addresses import Outbound
from services.prober.transport.egress import EgressRules
from tests.support.waiting import DEADLINE

LOOPBACK = Egress(allow=("127.0.0.0/8", "::1/128"), allow_loopback=True)

Handler = Callable[["Request", asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Request:
    """One request as it arrived."""

    line: str
    headers: list[tuple[str, str]]
    body: bytes

    @property
    def path(self) -> str:
        return self.line.split(" ")[1]

    def header(self, name: str) -> str | None:
        """The first value of a header; None when it is absent."""
        return next((value for given, value in self.headers if given.lower() == name), None)


@dataclass
class Server:
    """A running server: its port, the requests and the number of connections."""

    port: int
    secure: bool
    requests: list[Request] = field(default_factory=list)
    connections: int = 0
    taken: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def reaches(self, connections: int) -> None:
        """Wait until it has accepted this many connections."""
        async with asyncio.timeout(DEADLINE), self.taken:
            await self.taken.wait_for(lambda: self.connections >= connections)

    def url(self, path: str = "/", host: str = "127.0.0.1") -> str:
        return f"{'https' if self.secure else 'http'}://{host}:{self.port}{path}"


def answer(
    status: int = 200, body: bytes = b"", headers: dict[str, str] | None = None, *, length: bool = True
) -> bytes:
    """An HTTP answer as bytes."""
    lines = [f"HTTP/1.1 {status} Whatever", *(f"{name}: {value}" for name, value in (headers or {}).items())]
    if length:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def says(status: int = 200, body: bytes = b"", headers: dict[str, str] | None = None) -> Handler:
    """A handler that always sends the same answer."""

    async def handle(_: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(status, body, headers))

    return handle


async def _read(reader: asyncio.StreamReader) -> Request:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = [tuple(line.split(": ", 1)) for line in head[1:] if line]
    request = Request(head[0], headers, b"")  # type: ignore[arg-type]
    if (request.header("transfer-encoding") or "").lower() == "chunked":
        request.body = await _read_chunks(reader)
    else:
        request.body = await reader.readexactly(int(request.header("content-length") or 0))
    return request


async def _read_chunks(reader: asyncio.StreamReader) -> bytes:
    body = b""
    while size := int(await reader.readline(), 16):
        body += (await reader.readexactly(size + 2))[:-2]
    await reader.readline()
    return body


@asynccontextmanager
async def serving(
    handler: Handler, *, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1", port: int = 0
) -> AsyncIterator[Server]:
    """Run a server that reads one request per connection and passes it to ``handler``."""
    tasks: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        async with server.taken:
            server.connections += 1
            server.taken.notify_all()
        with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError, ssl.SSLError):
            request = await _read(reader)
            server.requests.append(request)
            await handler(request, writer)
            await writer.drain()
        writer.transport.abort() if tls is None and writer.transport.is_closing() else writer.close()
        tasks.discard(task)

    listener = await asyncio.start_server(connected, host, port, ssl=tls)
    server = Server(listener.sockets[0].getsockname()[1], tls is not None)
    try:
        yield server
    finally:
        listener.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def forever(_: Request, __: asyncio.StreamWriter) -> None:
    """A handler that never answers."""
    await asyncio.Event().wait()


@contextmanager
def silent() -> Iterator[int]:
    """A port on which the kernel accepts connections and nothing ever answers."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(16)
        yield listener.getsockname()[1]


@contextmanager
def unaccepting() -> Iterator[int]:
    """A port with a full accept queue, so that connecting hangs."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        fillers = [socket.socket() for _ in range(8)]
        try:
            for filler in fillers:
                filler.setblocking(False)
                with suppress(BlockingIOError):
                    filler.connect(("127.0.0.1", port))
            yield port
        finally:
            for filler in fillers:
                filler.close()


def assignment(
    url: str,
    definition: Probe,
    *,
    name: str = "link",
    params: Mapping[str, object] | tuple[Mapping[str, object], ...] = (),
    latency: float = DEADLINE / 4,
    max_age: float | None = None,
) -> Assignment:
    """Assign one link of consumer `a` to provider `b`, with one test record or several."""
    records = (params or ({},)) if isinstance(params, tuple) else (params or {},)
    return Assignment(
        ScheduleEntry(Target(name), definition.timeout), definition, "a", "b", url, records, latency, max_age
    )


async def ask(
    url: str,
    expect: Expect | None = None,
    *,
    kind: str = "http",
    environment: ProbeEnvironment | None = None,
    egress: Egress = LOOPBACK,
    params: Mapping[str, object] | tuple[Mapping[str, object], ...] = (),
    latency: float = DEADLINE / 4,
    max_age: float | None = None,
    **definition: object,
) -> ProbeResult:
    """Probe one target once by a definition of this kind."""
    made = Probe("test", kind, expect=expect or Expect(), **{"timeout": DEADLINE / 2, **definition})  # type: ignore[arg-type]
    way_out = environment or ProbeEnvironment(Outbound(egress=EgressRules(egress)))
    try:
        attempts = ProbeRunner(way_out, structlog.get_logger())
        item = assignment(url, made, params=params, latency=latency, max_age=max_age)
        return await attempts.probe(item)
    finally:
        if environment is None:
            await way_out.close()
