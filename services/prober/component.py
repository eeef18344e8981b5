"""The prober as a component: follows the register, probes on schedule, publishes what it saw, stops in order."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from time import time

from services.core.bus import Bus, connect_from_settings
from services.core.errors import PeyvandError, SettingsError
from services.core.runtime import Runtime
from services.prober.environment import ProbeEnvironment
from services.prober.heartbeats import PeerHeartbeats
from services.prober.metrics import ProberMetrics
from services.prober.pipeline import Probing
from services.prober.publishing import MeasurementPublisher, Spool
from services.prober.scheduling import Membership
from services.register.bus import follow_register

__all__ = ["main"]

# Finishing, a last control round and draining fit into runtime.DRAIN_SECONDS.
_FINISH_SECONDS = 1.2
_DRAIN_SECONDS = 0.6
# The middle collections of the garbage collector to a full one, which stalls the loop for half a second where 60,000
# targets are probed. Probes leave next to nothing behind, and the young collections find that.
_TO_A_FULL_ONE = 10_000


async def main(runtime: Runtime) -> None:
    """Probe until told to stop; then stop scheduling, finish what is under way, flush and leave."""
    settings = runtime.settings
    gc.set_threshold(*gc.get_threshold()[:2], _TO_A_FULL_ONE)
    spool = Spool(settings.data / "spool", settings.spool_limit)
    with closing(spool):
        spool.open()
        if spool.broken or spool.pending:
            runtime.log.info("spool_found", batches=len(spool.pending), broken=spool.broken)
        name = f"prober-{settings.prober}"
        async with (
            connect_from_settings(settings, role="prober", name=name) as bus,
            _environment() as environment,
        ):
            runtime.watch_bus(lambda: bus.connected)
            try:
                await _probe(runtime, bus, spool, environment)
            except* PeyvandError as group:
                raise group.exceptions[0] from group


async def _probe(runtime: Runtime, bus: Bus, spool: Spool, environment: ProbeEnvironment) -> None:
    settings, log = runtime.settings, runtime.log
    metrics = ProberMetrics(runtime.registry)
    publisher = MeasurementPublisher(spool, bus, metrics, log)
    roster = Membership(settings.prober, round(time(), 6))  # a heartbeat holds microseconds
    probing = Probing(settings, environment, publisher, roster, metrics, log)
    peers = PeerHeartbeats(settings.vantage, bus, roster, probing, metrics, log)
    metrics.watch_inflight(lambda: probing.inflight)
    async with asyncio.TaskGroup() as group:
        # What an earlier run could not send goes first, and does not wait for a register.
        sending = group.create_task(publisher.send())
        following = group.create_task(_follow(bus, probing, runtime))
        sharing = group.create_task(peers.run())
        pulse = group.create_task(probing.pulse())
        await runtime.stop.wait()
        runtime.health.not_serving()
        for task in (following, sharing):
            task.cancel()
        await asyncio.wait({following, sharing})
        probing.launch_no_more()
        await peers.leave()
        await probing.stop(_FINISH_SECONDS)
        await asyncio.wait({pulse})
        sending.cancel()
        await asyncio.wait({sending})
        await publisher.drain(_DRAIN_SECONDS)
        log.info("drained", left_in_spool=len(spool.pending))


async def _follow(bus: Bus, probing: Probing, runtime: Runtime) -> None:
    """Use each register as it comes into force; serve from the first control round on."""
    async for register in follow_register(bus):
        try:
            probing.use(register)
        except SettingsError as error:
            if probing.origin is None:
                raise
            runtime.log.warning("register_not_used", reason=str(error))
            continue
        await probing.sees.wait()
        runtime.health.serving()


@asynccontextmanager
async def _environment() -> AsyncIterator[ProbeEnvironment]:
    environment = ProbeEnvironment()
    try:
        yield environment
    finally:
        await environment.close()
