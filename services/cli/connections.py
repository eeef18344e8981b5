"""Connects commands to the message bus, and to the components that ``peyvand up`` runs on this machine."""

from __future__ import annotations

import asyncio
import os
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from http.client import HTTPException
from typing import TypeVar

import typer

from services.core import log as logs
from services.core.bus import Bus, connect_from_settings
from services.core.errors import BusError
from services.core.network import UNRESOLVED
from services.core.settings import Settings, load_settings

T = TypeVar("T")

_NOTICE_SECONDS = 5.0
_PATIENCE_SECONDS = 3.0

# Without the proxies of the environment: a proxy would look for loopback on its own machine.
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def bus_settings(nats: str, credentials: str) -> Settings:
    """Read settings as components do: these flags where they are given, then PEYVAND_*, then a file."""
    flags = {"--nats": nats, "--credentials": credentials}
    return load_settings("bus", [word for flag, value in flags.items() if value for word in (flag, value)], os.environ)


@asynccontextmanager
async def open_bus(
    settings: Settings, *, role: str, name: str, patience: float | None = _PATIENCE_SECONDS
) -> AsyncIterator[Bus]:
    """Connect to the bus within ``patience`` seconds (None: no limit), with a notice on stderr when it takes a while.

    Raises BusError when nothing answers in time, and the errors of connecting.
    """
    logs.configure_logging("cli", "error")  # errors are printed as one sentence
    unresolved: set[str] = set()

    def why(otherwise: str) -> str:
        return f", and {' and '.join(sorted(unresolved))} {UNRESOLVED}" if unresolved else otherwise

    def notify() -> None:
        typer.echo(f"waiting for the bus at {settings.nats}{why('')}", err=True)

    notice = asyncio.get_running_loop().call_later(_NOTICE_SECONDS, notify)
    async with AsyncExitStack() as stack:
        try:
            async with asyncio.timeout(patience):
                bus = await stack.enter_async_context(
                    connect_from_settings(settings, role=role, name=name, on_unresolved=unresolved.add)
                )
        except TimeoutError as error:
            raise BusError(
                f"nothing answered as a bus at {settings.nats} within {patience:g} s{why(': start it')}, or name another "
                "with --nats"
            ) from error
        finally:
            notice.cancel()
        yield bus


def run_on_bus(
    work: Callable[[Bus], Awaitable[T]],
    nats: str,
    credentials: str,
    *,
    role: str,
    name: str,
    patience: float | None = _PATIENCE_SECONDS,
) -> T:
    """Return the result of ``work`` on the bus that these flags name. Connects as ``open_bus`` does."""
    settings = bus_settings(nats, credentials)

    async def run() -> T:
        async with open_bus(settings, role=role, name=name, patience=patience) as bus:
            return await work(bus)

    return asyncio.run(run())


def fetch_local(address: str, path: str, timeout: float) -> bytes:
    """GET ``path`` of HOST:PORT on this machine within ``timeout`` seconds. Raises OSError, also for an error status."""
    try:
        with _OPENER.open(f"http://{address}{path}", timeout=timeout) as response:
            return bytes(response.read())
    except HTTPException as error:
        raise ConnectionError(f"{address} gave no whole answer: {error!r}") from error
