"""Probing by schedule from one vantage: launch, bound, bracket by control rounds, hand on."""

from __future__ import annotations

import asyncio
import gc
from contextlib import suppress
from itertools import count
from time import monotonic, time

from services.core.errors import SettingsError
from services.core.log import Logger
from services.core.model import Measurement, Reason, Register, Target, unfrozen
from services.core.settings import Settings
from services.prober.assignments import Assignment, assignments
from services.prober.attempt import ProbeResult, ProbeRunner
from services.prober.checks import Judgement
from services.prober.environment import ProbeEnvironment
from services.prober.metrics import ProberMetrics
from services.prober.publishing import MeasurementPublisher, Origin, blinded, measured, unmeasured
from services.prober.scheduling import Launch, Membership, Schedule, Share, Shares
from services.prober.stall import TICK_SECONDS, LoopStalls, excuse
from services.prober.transport import EgressRules
from services.prober.vantage import CONTROL_SECONDS, CONTROL_TIMEOUT, Bracket, ControlTargets

__all__ = ["Probing"]

# The clock on the wall may be set while we wait; look again at least this often.
_LOOK_SECONDS = 1.0
# Control rounds to a flush.
_ROUNDS = 2
# Probes started in one turn of the loop. More would keep those under way waiting for their answers to be read: who cannot
# keep up is to launch late, which shows, rather than see long latencies.
_AT_ONCE = 20
# By how much of a slot a launch may be late while ever more is due than can be launched. Whose turn comes late enough is
# then left to chance, and not to the phase of a target.
_PATIENCE = 0.05


@unfrozen
class _Seen:
    """What one probe saw, until the next control round tells whether the vantage could see."""

    consumer: str
    row: Measurement
    status: int
    duration: float


class Probing:
    """The probes of one prober: which are due, which are under way, what they saw."""

    def __init__(
        self,
        settings: Settings,
        environment: ProbeEnvironment,
        publisher: MeasurementPublisher,
        roster: Membership,
        metrics: ProberMetrics,
        log: Logger,
    ) -> None:
        self._settings = settings
        self._environment = environment
        self._publisher = publisher
        self._roster = roster
        self._metrics = metrics
        self._log = log
        self._attempts = ProbeRunner(environment, log)
        self._schedule = Schedule()
        self._bracket: Bracket[_Seen] = Bracket(remembered=CONTROL_TIMEOUT)
        self._stalls = LoopStalls(remembered=CONTROL_TIMEOUT)
        self._controls = ControlTargets((), environment)
        self._failing: dict[str, str] = {}
        self._assignments: dict[Target, Assignment] = {}
        self._shares = Shares()
        self._share = Share()
        self._sharing: dict[str, int] = {}
        self._slot_seconds = 0
        self._inflight: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._behind_since: float | None = None
        self._ticker: asyncio.TimerHandle | None = None
        self.origin: Origin | None = None
        self.share_from: int | None = None
        """Start of the first slot of which the whole share is probed; None before the first control round."""
        self.news = asyncio.Event()
        """Set when other probers should learn at once of what is probed here, or by which register."""
        self.sees = asyncio.Event()
        self._used = asyncio.Event()
        self._ending = asyncio.Event()
        self._stopped = False

    @property
    def inflight(self) -> int:
        """How many probes are under way."""
        return len(self._inflight)

    @property
    def targets(self) -> int:
        """How many links and endpoints there are in this prober's share."""
        return len(self._share.own)

    def use(self, register: Register) -> None:
        """Probe by this register from now on. Raises SettingsError, and stays with the one before, when its policy does
        not know our vantage or names control targets that cannot be asked.
        """
        policy, name = register.policy, self._settings.vantage
        vantage = next((vantage for vantage in policy.vantages if vantage.id == name), None)
        if vantage is None:
            known = ", ".join(vantage.id for vantage in policy.vantages)
            raise SettingsError(f"vantage {name} is not in the register's policy; choose with --vantage from: {known}")
        try:
            controls = ControlTargets(vantage.control_targets, self._environment)
        except ValueError as error:
            raise SettingsError(f"the control targets of vantage {name} cannot be asked: {error}") from error
        self._environment.outbound.egress = EgressRules(policy.egress)
        self._controls = controls
        self._assignments = assignments(register, name)
        self._shares = Shares(item.entry for item in self._assignments.values())
        self._attempts.forget()
        longest = max((probe.timeout for probe in register.probes.values()), default=0.0)
        self._bracket.remembered = self._stalls.remembered = longest + 2 * CONTROL_TIMEOUT
        self._slot_seconds = policy.slot_seconds
        self.origin = Origin(name, self._settings.prober, register.register_version, register.probe_version)
        self._log.info(
            "register_in_use",
            register_version=register.register_version,
            probe_version=register.probe_version,
            targets=len(self._assignments),
        )
        # A full collection of a register's worth of objects would stall the loop for as long as some probes take, so
        # one is made before the first probe, and what is there is then kept out of later ones.
        if not self._used.is_set():
            gc.collect()
        gc.freeze()
        # Targets are made ready at their first probe, for each of their records: after as many slots as one has records,
        # there are none left to be.
        for slots in range(1, max((len(item.params) for item in self._assignments.values()), default=1) + 1):
            asyncio.get_running_loop().call_later(slots * policy.slot_seconds + longest, gc.freeze)
        self._used.set()
        self.news.set()
        if self.sees.is_set():
            self._plan()

    def regroup(self) -> None:
        """Probe what is this prober's share now, when that has changed: peers came, went or began to take theirs."""
        origin = self.origin
        if origin is None or self._stopped or not self.sees.is_set():
            return
        if self._roster.sharing(origin.register_version, origin.probe_version) != self._sharing:
            self._plan()

    def _plan(self) -> None:
        """Launch our share of the register in use from this moment on.

        Who is alone begins at once; who has peers takes over from them at the beginning of the next slot, so that none
        of theirs is left out, and what our own start has made late is not ours to shed.
        """
        origin, now = self.origin, time()
        assert origin is not None
        slot_start = int(now // self._slot_seconds) * self._slot_seconds
        sharing = self._roster.sharing(origin.register_version, origin.probe_version)
        begins = slot_start + self._slot_seconds if sharing else slot_start
        if self.share_from is None or self.share_from > begins:
            self.share_from = begins
            self.news.set()
        self._sharing = sharing
        self._share = self._shares.of(self._settings.prober, self.share_from, sharing, slot_start)
        self._metrics.set_targets({target: self._assignments[target] for target in self._share.own})
        self._log.info("share_taken", targets=len(self._share.own), of=len(self._assignments), peers=sorted(sharing))
        self._schedule.replace(self._share.entries, self._slot_seconds, now)
        self._launch_due()

    async def pulse(self) -> None:
        """Ask the control targets, let go of what they bracket, flush it after every second round; again and again.

        One rhythm for all three keeps a measurement from waiting for one after the other. A flush is a message per
        shard, whatever it holds, and messages are what probing little costs. Without control targets a round always
        passes.
        """
        await self._used.wait()
        self._tick()
        for number in count(1):
            last = self._ending.is_set()
            began = monotonic()
            await self._round(began)
            if last or number % _ROUNDS == 0:
                await self._publisher.flush()
            if last:
                return
            if not (self.sees.is_set() or self._stopped):
                self.sees.set()
                self._plan()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._ending.wait(), max(0.0, began + CONTROL_SECONDS - monotonic()))

    def launch_no_more(self) -> None:
        """Leave every launch from now on to others."""
        self._stopped = True
        if self._timer is not None:
            self._timer.cancel()

    async def stop(self, finish_seconds: float) -> None:
        """Launch nothing more, let probes finish that long, cancel the others, and let the pulse end with all of it."""
        self.launch_no_more()
        if self._inflight:
            await asyncio.wait(self._inflight, timeout=finish_seconds)
        late = set(self._inflight)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
        if self._ticker is not None:
            self._ticker.cancel()
        self._ending.set()
        self._used.set()

    async def _round(self, began: float) -> None:
        failing = await self._controls.ask()
        if failing.keys() != self._failing.keys():
            if failing:
                self._log.error("vantage_blind", failing=failing)
            else:
                self._log.info("vantage_sees")
        self._failing = failing
        if self._controls:
            self._metrics.set_blind(self._settings.vantage, blind=bool(failing))
        for seen, blind in self._bracket.round(began, passed=not failing):
            self._publish(seen.consumer, blinded(seen.row) if blind else seen.row, seen.status, seen.duration)

    def _publish(self, consumer: str, row: Measurement, status: int = 0, duration: float = 0.0) -> None:
        self._publisher.add(consumer, row)
        self._metrics.count_measurement(row, status, duration)

    def _tick(self) -> None:
        self._stalls.tick(monotonic())
        self._ticker = asyncio.get_running_loop().call_later(TICK_SECONDS, self._tick)

    def _launch_due(self) -> None:
        """Launch what is due, each on its own: bursts would be cheaper and falsify latencies."""
        if self._timer is not None:
            self._timer.cancel()
        now = time()
        if self.share_from is not None and self.share_from - now > self._slot_seconds:
            self._plan()  # the clock was set back: what was the next slot is far ahead
            return
        room = _AT_ONCE
        while room and (launches := self._schedule.take(now, room)):
            room -= sum(self._launch(launch) for launch in launches)
        leapt, self._schedule.leapt = self._schedule.leapt, 0
        if leapt:
            self._metrics.count_leapt_slots(leapt)
            self._log.warning("slots_leapt", slots=leapt)
        now = time()
        due = self._schedule.next_due(now)
        self._behind_since = (self._behind_since or now) if due is not None and due <= now else None
        delay = _LOOK_SECONDS if due is None else min(_LOOK_SECONDS, max(0.0, due - now))
        self._timer = asyncio.get_running_loop().call_later(delay, self._launch_due)

    def _launch(self, launch: Launch) -> bool:
        """Start a probe, or shed it; tell whether it was started."""
        assignment, origin = self._assignments[launch.target], self.origin
        assert origin is not None
        now = time()
        self._metrics.observe_lag(now - launch.due)
        problem = ""
        if now > launch.latest:
            problem = f"its turn came {now - launch.due:.1f} s late, too late for this slot"
        elif min(now - launch.due, now - (self._behind_since or now)) > _PATIENCE * self._slot_seconds:
            problem = f"its turn came {now - launch.due:.1f} s late, for more is due than can be probed"
        elif len(self._inflight) >= self._settings.inflight:
            problem = f"{len(self._inflight)} probes were under way"
        if problem:
            row = unmeasured(launch.target, launch.slot_start, Reason.SHED, problem, origin)
            self._publish(assignment.consumer, row)
            return False
        task = asyncio.get_running_loop().create_task(self._probe(launch, assignment, origin))
        self._inflight.add(task)
        task.add_done_callback(self._inflight.discard)
        return True

    async def _probe(self, launch: Launch, assignment: Assignment, origin: Origin) -> None:
        turn = assignment.turn(launch.slot_start // self._slot_seconds)
        began = monotonic()
        try:
            result = await self._attempts.probe(assignment, assignment.definition.timeout, turn)
        except asyncio.CancelledError:
            detail = "the prober was stopped before the probe ended"
            row = unmeasured(launch.target, launch.slot_start, Reason.PROBER_ERROR, detail, origin)
            self._publish(assignment.consumer, row)
            raise
        ended = monotonic()
        judgement = self._judgement(launch, assignment, result, self._stalls.seconds(began, ended))
        row = measured(launch.target, launch.slot_start, result.observation, judgement, origin)
        seen = _Seen(assignment.consumer, row, result.observation.status, result.observation.duration)
        self._bracket.hold(began, ended, seen)

    def _judgement(self, launch: Launch, assignment: Assignment, result: ProbeResult, stalled: float) -> Judgement:
        if time() > launch.slot_start + self._slot_seconds:
            return Judgement(Reason.OVERRUN, "the probe did not finish within its slot")
        return excuse(result.judgement, result.observation, assignment.latency, stalled)
