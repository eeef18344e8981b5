"""Scenes of conformance cases: real servers on loopback, many of them judges of the request. Not a test itself."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress

import pytest

from tests.conformance.case import Place, Stage
from tests.support.servers.http_server import Handler, Request, answer, says, serving
from tests.support.servers.name_server import name_server

__all__ = ["Context", "Scene", "at", "http", "judging", "leading", "leaf", "named", "routes", "secured", "unserved"]

Context = Callable[[Place], ssl.SSLContext]
Scene = Callable[[Place], AbstractAsyncContextManager[Stage]]


def http(
    handler: Handler,
    path: str = "/",
    *,
    tls: Context | None = None,
    host: str = "127.0.0.1",
    name: str = "",
    scheme: str = "",
) -> Scene:
    """One HTTP server, over TLS if a context is given; the target names it by ``name`` or else by its address.

    ``scheme`` is written in the target in place of the usual one; `-` leaves it out.
    """

    @asynccontextmanager
    async def scene(place: Place) -> AsyncIterator[Stage]:
        if ":" in host and not _speaks_ipv6():
            pytest.skip("this machine has no IPv6 loopback")
        async with serving(handler, tls=tls and tls(place), host=host) as server:
            written = scheme or ("https" if server.secure else "http")
            called = name or (f"[{host}]" if ":" in host else host)
            yield Stage(f"{written}://{called}:{server.port}{path}".removeprefix("-://"))

    return scene


def _speaks_ipv6() -> bool:
    with suppress(OSError), socket.socket(socket.AF_INET6) as probe:
        probe.bind(("::1", 0))
        return True
    return False


def leaf(*names: str, days: tuple[float, float] = (-1, 30), self_signed: bool = False) -> Context:
    """A certificate of the suite's authority, for the given names or else for the loopback address."""
    return lambda place: place.authority.context(*(names or ("127.0.0.1",)), days=days, self_signed=self_signed)


def secured(tls: Context) -> Scene:
    """A server over TLS at the loopback address."""
    return http(says(200, b"fine"), tls=tls)


def at(target: str) -> Scene:
    """A target without a server."""

    @asynccontextmanager
    async def scene(_: Place) -> AsyncIterator[Stage]:
        yield Stage(target)

    return scene


def unserved(scheme: str = "http") -> Scene:
    """A port that was free a moment ago, so nothing listens on it."""

    @asynccontextmanager
    async def scene(_: Place) -> AsyncIterator[Stage]:
        listener = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0)
        port = listener.sockets[0].getsockname()[1]
        listener.close()
        await listener.wait_closed()
        yield Stage(f"{scheme}://127.0.0.1:{port}/")

    return scene


def named(addresses: list[str], serving_at: str) -> Scene:
    """A name with several addresses; a server listens on one of them."""

    @asynccontextmanager
    async def scene(_: Place) -> AsyncIterator[Stage]:
        async with (
            serving(says(), host=serving_at) as server,
            name_server({"several.test": addresses}) as (_names, resolver),
        ):
            yield Stage(f"http://several.test:{server.port}/", resolver=resolver)

    return scene


def leading(there: Scene, *, tls: Context | None = None) -> Scene:
    """A server that redirects to the target of another scene."""

    @asynccontextmanager
    async def scene(place: Place) -> AsyncIterator[Stage]:
        async with there(place) as end, http(says(302, b"", {"Location": end.target}), tls=tls)(place) as start:
            yield start

    return scene


def judging(right: Callable[[Request], bool]) -> Handler:
    """A handler that answers 200 to a right request and 400 to any other."""

    async def handle(request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(200 if right(request) else 400))

    return handle


def routes(table: dict[str, Handler]) -> Handler:
    """A handler per path; 404 for the rest."""

    async def handle(request: Request, writer: asyncio.StreamWriter) -> None:
        await table.get(request.path, says(404))(request, writer)

    return handle
