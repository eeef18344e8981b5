"""How a person's command reaches the bus: it says that it waits, and not for ever."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

import typer

from services.core.bus import Bus, connect_from_settings
from services.core.errors import BusError
from services.core.settings import Settings

__all__ = ["reached"]

_SILENT_SECONDS = 5.0
_PATIENCE_SECONDS = 30.0


@asynccontextmanager
async def reached(
    settings: Settings, *, role: str, name: str, patience: float | None = _PATIENCE_SECONDS
) -> AsyncIterator[Bus]:
    """Connect to the bus within ``patience`` seconds (None: as long as it takes), and say so where it takes a while.

    Raises BusError, and what connecting raises.
    """
    say = partial(typer.echo, f"waiting for the bus at {settings.nats}", err=True)
    told = asyncio.get_running_loop().call_later(_SILENT_SECONDS, say)
    async with AsyncExitStack() as stack:
        try:
            async with asyncio.timeout(patience):
                bus = await stack.enter_async_context(connect_from_settings(settings, role=role, name=name))
        except TimeoutError as error:
            what = f"nothing answered as a bus at {settings.nats} within {patience:g} s"
            raise BusError(f"{what}: start it, or name another with --nats") from error
        finally:
            told.cancel()
        yield bus
