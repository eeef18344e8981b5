"""The running scorer: connects, follows the register, and scores in one session per calendar."""

from __future__ import annotations

import asyncio
import time
from contextlib import closing
from functools import partial

from services.core.bus import Bus, connect_from_settings
from services.core.errors import PeyvandError, StateError
from services.core.metrics import gauge
from services.core.model import Register
from services.core.runtime import Runtime
from services.register.bus import follow_register
from services.scorer.exchanges import ExchangeDatabase
from services.scorer.metrics import ScorerMetrics
from services.scorer.session import run_session
from services.scorer.state import count_damaged


async def main(runtime: Runtime) -> None:
    """Score until the stop; state is saved by then. Raises PeyvandError."""
    settings = runtime.settings
    try:
        settings.data.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StateError(
            f"the folder {settings.data} cannot be made: {error.strerror}; name another with --data"
        ) from error
    runtime.health.not_serving("waiting for the bus")
    metrics = ScorerMetrics(runtime.registry)
    gauge("peyvand_scorer_damaged_files", runtime.registry).set_function(partial(count_damaged, settings.data))
    registers: asyncio.Queue[Register] = asyncio.Queue()
    with closing(ExchangeDatabase(settings.data / "exchanges.sqlite")) as exchanges:
        async with connect_from_settings(settings, role="scorer", name="scorer") as bus:
            runtime.watch_bus(lambda: bus.connected)
            runtime.health.not_serving("reading the register, or waiting for one")
            try:
                async with asyncio.TaskGroup() as group:
                    follower = group.create_task(_follow(bus, registers))
                    register: Register | None = await registers.get()
                    while register is not None:
                        register = await run_session(
                            runtime, bus, register, registers, metrics=metrics, exchanges=exchanges, clock=time.time
                        )
                    follower.cancel()
            except* PeyvandError as errors:
                raise _first(errors) from None


async def _follow(bus: Bus, registers: asyncio.Queue[Register]) -> None:
    async for register in follow_register(bus):
        registers.put_nowait(register)


def _first(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the first error of nested groups, the one that is reported."""
    first = errors.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first
