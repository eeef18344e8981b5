"""Runs the prober as a component: adopts registers, probes on schedule, publishes, and shuts down in order."""

from __future__ import annotations

import asyncio
import gc
import signal
from collections.abc import Callable
from contextlib import AsyncExitStack, closing
from secrets import token_bytes
from time import time
from typing import Any

from services.core.bus import Bus, connect_from_settings
from services.core.codec import RUN_BYTES
from services.core.errors import PeyvandError, SettingsError
from services.core.log import Logger
from services.core.malloc import use_huge_pages
from services.core.model import Register
from services.core.runtime import ENDING, Runtime
from services.core.settings import Settings
from services.core.tasks import cancel_and_wait
from services.prober.assignments import ProbingPlan, plan_of
from services.prober.attempt import ProbeRunner
from services.prober.checks import JUDGING_SECONDS
from services.prober.control import CONTROL_TIMEOUT, ControlLoop, ControlNames, ControlTargets
from services.prober.excuses import Bracket, LoopStalls
from services.prober.heartbeats import PeerHeartbeats
from services.prober.kinds import ProbeEnvironment
from services.prober.launcher import Launcher
from services.prober.metrics import ProberMetrics
from services.prober.pipeline import HeldMeasurement, Pipeline
from services.prober.publishing import MeasurementPublisher, Spool
from services.prober.scheduling import Membership
from services.register.bus import follow_register

# Finishing, a last control round and draining fit into runtime.DRAIN_SECONDS.
_FINISH_SECONDS = 1.2
_DRAIN_SECONDS = 0.6
# Generation 1 garbage collections for each full one. A full one stalls the event loop for half a second when 60,000
# targets are probed. Probes leave almost no garbage, and the younger collections find it.
_COLLECTIONS_PER_FULL = 10_000


class Prober:
    """Puts the parts of a prober together: a launcher starts probes, a pipeline measures, a control loop releases."""

    def __init__(
        self,
        settings: Settings,
        environment: ProbeEnvironment,
        publisher: MeasurementPublisher,
        membership: Membership,
        metrics: ProberMetrics,
        log: Logger,
        clock: Callable[[], float] = time,
    ) -> None:
        self._settings = settings
        self._environment = environment
        self._log = log
        self._clock = clock
        self._stalls = LoopStalls(CONTROL_TIMEOUT)
        self._bracket: Bracket[HeldMeasurement] = Bracket(CONTROL_TIMEOUT)
        self._runner = ProbeRunner(environment, log, stalls=self._stalls, clock=clock)
        pipeline = Pipeline(self._runner, self._bracket, publisher, metrics)
        self.launcher = Launcher(settings.inflight, pipeline, membership, metrics, log, clock, self._stalls)
        self.control_loop = ControlLoop(
            settings.vantage, self._bracket, pipeline.release, publisher.flush, metrics, log
        )
        metrics.inflight.set_function(lambda: self.launcher.inflight)

    async def adopt(self, register: Register) -> None:
        """Probe by this register from now on, but only after a first control round.

        Raises SettingsError when the policy does not have this vantage, or has control targets that cannot be checked.
        The register in use then stays in use.
        """
        vantage = self._settings.vantage
        # Planning here and freeing the old targets below run in a thread: each would stall the loop at national size.
        plan = await asyncio.to_thread(plan_of, register, vantage, self._settings.prober)
        try:
            targets = ControlTargets(plan.control_targets, self._environment, plan.control_proxy)
            names = ControlNames(plan.control_names, plan.control_targets, self._environment.outbound.resolver)
        except ValueError as error:
            raise SettingsError(f"the control targets of vantage {vantage} cannot be checked: {error}") from error
        self._environment.outbound.adopt(register.policy.egress)
        # An answer may be judged for a while after the probe's deadline.
        remembered = plan.longest_timeout + JUDGING_SECONDS + 2 * CONTROL_TIMEOUT
        self._bracket.remembered = self._stalls.remembered = remembered
        self.control_loop.use(targets, names)
        self._keep_from_collector(plan)
        await self.control_loop.first_round.wait()
        self._log.info(
            "register_in_use",
            register_version=register.register_version,
            probe_version=register.probe_version,
            targets=len(plan.assignments),
        )
        former = self._runner.forget()
        self.launcher.use(plan)
        await asyncio.to_thread(_free, former)

    async def finish(self, seconds: float) -> None:
        """Stop launching, let probes finish for ``seconds``, and end the control loop, which releases their results."""
        await self.launcher.finish(seconds)
        self.control_loop.stop()

    def _keep_from_collector(self, plan: ProbingPlan) -> None:
        """Exclude long-lived objects from full collections, which would stall the loop for as long as some probes take.

        One collection runs before the first probe. A target is prepared at the first probe of each of its turns, so
        nothing is left to prepare once probing has gone on for as many slots as there are turns.
        """
        if self.launcher.origin is None:
            gc.collect()
        gc.freeze()
        begins = max(0.0, plan.epoch - self._clock()) + plan.longest_timeout
        for slots in range(1, plan.turns + 1):
            asyncio.get_running_loop().call_later(begins + slots * plan.slot_seconds, _keep_in_place)


def _keep_in_place() -> None:
    """Exclude what there is from full collections, and have the kernel hold it in huge pages."""
    gc.freeze()
    asyncio.get_running_loop().run_in_executor(None, use_huge_pages)


def _free(prepared: dict[Any, Any]) -> None:
    """Drop values one by one, so that other threads can run in between."""
    while prepared:
        prepared.popitem()


async def main(runtime: Runtime) -> None:
    """Probe until told to stop. Then stop launching, finish the probes under way, flush and leave."""
    settings = runtime.settings
    again = asyncio.Event()  # handled from the start: a signal that is not handled ends the process
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, again.set)
    runtime.health.not_serving("waiting for the bus")
    gc.set_threshold(*gc.get_threshold()[:2], _COLLECTIONS_PER_FULL)
    spool = Spool(settings.data / "spool", settings.spool_limit, keep=settings.spool_keep * 3600)
    with closing(spool):
        spool.open()
        if spool.pending:
            runtime.log.info("spool_found", batches=len(spool.pending))
        name = f"prober-{settings.prober}"
        async with connect_from_settings(settings, role="prober", name=name) as bus, AsyncExitStack() as stack:
            environment = ProbeEnvironment.of(settings)
            stack.push_async_callback(environment.close)
            runtime.watch_bus(lambda: bus.connected)
            try:
                await _run(runtime, bus, spool, environment, again)
            except* PeyvandError as group:
                raise group.exceptions[0] from group


async def _run(runtime: Runtime, bus: Bus, spool: Spool, environment: ProbeEnvironment, again: asyncio.Event) -> None:
    """Probe until told to stop. ``again`` is set if batches are to be published again that the bus acknowledged."""
    settings, log = runtime.settings, runtime.log
    metrics = ProberMetrics(runtime.registry)
    publisher = MeasurementPublisher(spool, bus, metrics, log, run=token_bytes(RUN_BYTES))
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, publisher.publish_again)
    if again.is_set():
        publisher.publish_again()
    membership = Membership(settings.prober, round(time(), 6))  # a heartbeat holds microseconds
    prober = Prober(settings, environment, publisher, membership, metrics, log)
    heartbeats = PeerHeartbeats(settings.vantage, bus, membership, prober.launcher, metrics, log)
    async with asyncio.TaskGroup() as group:
        # Batches that an earlier run could not send go first, and do not wait for a register.
        sending = group.create_task(publisher.send())
        following = group.create_task(_follow(bus, prober, runtime))
        sharing = group.create_task(heartbeats.run())
        running = group.create_task(prober.control_loop.run())
        await runtime.stop.wait()
        runtime.health.not_serving(ENDING)
        await cancel_and_wait(following, sharing)
        prober.launcher.stop_launching()
        await heartbeats.leave()
        await prober.finish(_FINISH_SECONDS)
        await asyncio.wait({running})
        await cancel_and_wait(sending)
        await publisher.drain(_DRAIN_SECONDS)
        log.info("drained", left_in_spool=len(spool.pending))


async def _follow(bus: Bus, prober: Prober, runtime: Runtime) -> None:
    """Adopt each register that comes into force. Report serving once the first is in use."""
    runtime.health.not_serving("reading the register, or waiting for one")
    async for register in follow_register(bus):
        try:
            await prober.adopt(register)
        except SettingsError as error:
            if prober.launcher.origin is None:
                raise
            runtime.log.warning("register_not_used", reason=str(error))
        else:
            runtime.health.serving()
        del register  # the plan has what is needed of it, and the next one may come in months
