"""The running scorer: connects, follows the register, and scores in one session per calendar."""

from __future__ import annotations

import asyncio
import time
from contextlib import closing
from functools import partial

from services.core.bus import Bus, connect_from_settings
from services.core.errors import PeyvandError
from services.core.files import count_damaged, owned
from services.core.metrics import gauge
from services.core.model import Register
from services.core.runtime import Runtime
from services.register.bus import follow_register
from services.scorer.bus_watch import watch_bus
from services.scorer.exchanges import ExchangeDatabase
from services.scorer.lease import Lease
from services.scorer.metrics import ScorerMetrics
from services.scorer.session import run_session


async def main(runtime: Runtime) -> None:
    """Score until the stop, and save the state before returning. Raises PeyvandError."""
    with owned(runtime.settings.data, "scorer"):
        await _score(runtime)


async def _score(runtime: Runtime) -> None:
    settings = runtime.settings
    runtime.health.not_serving("waiting for the bus")
    metrics = ScorerMetrics(runtime.registry, began=time.time())
    gauge("peyvand_scorer_damaged_files", runtime.registry).set_function(partial(count_damaged, settings.data))
    registers: asyncio.Queue[Register] = asyncio.Queue()
    with closing(ExchangeDatabase(settings.data / "exchanges.sqlite")) as exchanges:
        async with connect_from_settings(settings, role="scorer", name="scorer") as bus:
            runtime.watch_bus(lambda: bus.connected)
            lease = Lease(bus, log=runtime.log)
            standing_by = gauge("peyvand_scorer_standing_by", runtime.registry)
            standing_by.set_function(lambda: not lease.taken.is_set())
            runtime.health.not_serving("reading the register, or waiting for one")
            try:
                async with asyncio.TaskGroup() as group:
                    watch = watch_bus(bus, metrics.bus, runtime.health, runtime.log)
                    others = [group.create_task(task) for task in (lease.keep(), _follow(bus, registers), watch)]
                    register: Register | None = await registers.get()
                    while register is not None:
                        register = await run_session(
                            runtime,
                            bus,
                            register,
                            registers,
                            lease=lease,
                            metrics=metrics,
                            exchanges=exchanges,
                            clock=time.time,
                        )
                    for task in others:
                        task.cancel()
            except* PeyvandError as errors:
                raise _first(errors) from None
            finally:
                await lease.give_up()


async def _follow(bus: Bus, registers: asyncio.Queue[Register]) -> None:
    async for register in follow_register(bus):
        registers.put_nowait(register)


def _first(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the first error of nested groups, which is the one to report."""
    first = errors.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first
