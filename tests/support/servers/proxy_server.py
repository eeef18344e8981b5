"""A small HTTP proxy on loopback, as its own process, which forwards requests and opens tunnels by CONNECT.

``python -m tests.support.servers.proxy_server PORT USERNAME:PASSWORD`` listens on PORT, or on a free port for 0. It
demands credentials unless they are empty. It writes its port, then the first line of every request. Every host is this
machine, whatever a name server says, except refused.test, to which it refuses to connect.
"""

from __future__ import annotations

import asyncio
import sys
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from tests.support.paths import ROOT
from tests.support.waiting import DEADLINE

_LOOPBACK = "127.0.0.1"


@dataclass
class Proxy:
    """A running proxy: its port, and the first line of every request, as it arrived."""

    port: int
    lines: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://{_LOOPBACK}:{self.port}"


@asynccontextmanager
async def proxying(credentials: str = "", port: int = 0) -> AsyncIterator[Proxy]:
    """Run a proxy that demands ``credentials`` (NAME:PASSWORD), if any. Its ``lines`` are complete at the end."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "tests.support.servers.proxy_server", str(port), credentials),
        stdout=asyncio.subprocess.PIPE,
        cwd=ROOT,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(DEADLINE):
            proxy = Proxy(int(await process.stdout.readline()))
        yield proxy
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        rest = await process.stdout.read()
        proxy.lines += rest.decode().splitlines()
        await process.wait()


async def _serve(port: int, credentials: str) -> None:
    expected = f"Basic {b64encode(credentials.encode()).decode()}" if credentials else ""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            await _handle(reader, writer, expected)
        writer.close()

    server = await asyncio.start_server(connected, _LOOPBACK, port)
    _tell(str(server.sockets[0].getsockname()[1]))
    await server.serve_forever()


def _tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


async def _handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, expected: str) -> None:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, _, rest = head.partition("\r\n")
    _tell(first)
    method, place, _version = first.split(" ")
    headers = [line for line in rest.split("\r\n") if line]
    given = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in headers)}
    parts = urlsplit(f"//{place}" if method == "CONNECT" else place)
    if expected and given.get("proxy-authorization") != expected:
        writer.write(_answer("407 Who are you", 'Proxy-Authenticate: Basic realm="proxy"\r\n'))
        return
    if parts.hostname == "refused.test":
        writer.write(_answer("403 Not there"))
        return
    try:
        there, back = await asyncio.open_connection(_LOOPBACK, parts.port or 80)
    except OSError:
        writer.write(_answer("502 Nobody there"))
        return
    if method == "CONNECT":
        writer.write(b"HTTP/1.1 200 Connection established\r\nVia: 1.1 test\r\n\r\n")
    else:
        kept = [line for line in headers if not line.lower().startswith("proxy-")]
        path = place.removeprefix(f"http://{parts.netloc}")
        back.write("\r\n".join([f"{method} {path} HTTP/1.1", *kept, "Via: 1.1 test", "", ""]).encode("latin-1"))
    await asyncio.gather(_copy(reader, back), _copy(there, writer))


def _answer(status: str, headers: str = "") -> bytes:
    return f"HTTP/1.1 {status}\r\n{headers}Content-Length: 0\r\nConnection: close\r\n\r\n".encode()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass on all data, and the end of the stream."""
    with suppress(ConnectionError):
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
    writer.close()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1]), sys.argv[2]))
