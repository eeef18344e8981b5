"""The prober as a component: follows the register, probes on schedule, publishes what it saw, stops in order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from time import time

from services.core.bus import Bus, connect, subjects
from services.core.codec import Heartbeat, encode_heartbeat
from services.core.errors import BusError, PeyvandError, SettingsError
from services.core.runtime import Runtime
from services.prober.meters import Meters
from services.prober.network import Network
from services.prober.probing import Probing
from services.prober.publisher import Publisher
from services.prober.spool import Spool
from services.register.publish import follow

__all__ = ["main"]

_HEARTBEAT_SECONDS = 2.0
# Finishing, a last control round and draining fit into runtime.DRAIN_SECONDS.
_FINISH_SECONDS = 1.2
_DRAIN_SECONDS = 0.6


async def main(runtime: Runtime) -> None:
    """Probe until told to stop; then stop scheduling, finish what is under way, flush and leave."""
    settings = runtime.settings
    spool = Spool(settings.data / "spool", settings.spool_limit)
    with closing(spool):
        spool.open()
        if spool.broken or spool.pending:
            runtime.log.info("spool_found", batches=len(spool.pending), broken=spool.broken)
        name = f"prober-{settings.prober}"
        async with (
            connect(settings.nats, role="prober", credentials=settings.credentials, name=name) as bus,
            _network() as network,
        ):
            try:
                await _probe(runtime, bus, spool, network)
            except* PeyvandError as group:
                raise group.exceptions[0] from group


async def _probe(runtime: Runtime, bus: Bus, spool: Spool, network: Network) -> None:
    meters = Meters(runtime.registry)
    publisher = Publisher(spool, bus, meters, runtime.log)
    probing = Probing(runtime.settings, network, publisher, meters, runtime.log)
    meters.watch(lambda: probing.inflight)
    async with asyncio.TaskGroup() as group:
        # What an earlier run could not send goes first, and does not wait for a register.
        sending = group.create_task(publisher.send())
        following = group.create_task(_follow(bus, probing, runtime))
        beating = group.create_task(_beat(bus, probing, runtime))
        pulse = group.create_task(probing.pulse())
        await runtime.stop.wait()
        runtime.health.not_serving()
        for task in (following, beating):
            task.cancel()
        await asyncio.wait({following, beating})
        await probing.stop(_FINISH_SECONDS)
        await asyncio.wait({pulse})
        sending.cancel()
        await asyncio.wait({sending})
        await publisher.drain(_DRAIN_SECONDS)
        runtime.log.info("drained", left_in_spool=len(spool.pending))


async def _follow(bus: Bus, probing: Probing, runtime: Runtime) -> None:
    """Use each register as it comes into force; serve from the first control round on."""
    async for register in follow(bus):
        try:
            probing.use(register)
        except SettingsError as error:
            if probing.origin is None:
                raise
            runtime.log.warning("register_not_used", reason=str(error))
            continue
        await probing.sees.wait()
        runtime.health.serving()


async def _beat(bus: Bus, probing: Probing, runtime: Runtime) -> None:
    """Say every two seconds that this prober is alive."""
    settings, started = runtime.settings, time()
    subject = subjects.heartbeat(settings.vantage, settings.prober)
    while True:
        origin = probing.origin
        if origin is not None and bus.connected:
            heartbeat = Heartbeat(
                vantage=settings.vantage,
                prober=settings.prober,
                time=time(),
                started=started,
                register_version=origin.register_version,
                probe_version=origin.probe_version,
                targets=probing.targets,
            )
            try:
                await bus.send(subject, encode_heartbeat(heartbeat))
            except BusError as error:
                runtime.log.debug("heartbeat_failed", reason=str(error))
        await asyncio.sleep(_HEARTBEAT_SECONDS)


@asynccontextmanager
async def _network() -> AsyncIterator[Network]:
    network = Network()
    try:
        yield network
    finally:
        await network.close()
