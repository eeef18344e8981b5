"""Launches probes when they are due, sheds those beyond its limits, and takes this prober's share of the targets."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic, time

from services.core.log import Logger
from services.core.model import Reason
from services.core.tasks import cancel_and_wait
from services.prober.assignments import Origin, ProbingPlan
from services.prober.excuses import TICK_SECONDS, LoopStalls
from services.prober.metrics import ProberMetrics
from services.prober.pipeline import Pipeline
from services.prober.scheduling import Launch, Membership, Schedule, Share

# The wall clock may be set while we wait, so look again at least this often.
_LOOK_SECONDS = 1.0
# Probes started in one turn of the loop: at first, and at most. With more, the answers of probes under way would wait to
# be read. A prober that cannot keep up must launch late, which shows, rather than measure long latencies.
_LAUNCHES_AT_FIRST = 4
_LAUNCHES_AT_ONCE = 20
# If a turn takes longer than this, half as many are started in the next, since the cost of a probe is not known
# beforehand: one over TLS costs more than ten times as much as one without. While more is due and turns are shorter,
# each starts one more.
_TURN_SECONDS = 0.02
# The share of a slot by which a launch may be late while more is due than can be launched. Which launches are later
# than that is up to chance, not to the phase of a target.
_LATE_SHARE = 0.05


@dataclass(slots=True, eq=False)
class Launcher:
    """Launches this prober's share of a plan, slot after slot, with at most ``limit`` probes under way."""

    limit: int
    pipeline: Pipeline
    membership: Membership
    metrics: ProberMetrics
    log: Logger
    clock: Callable[[], float] = time
    stalls: LoopStalls = field(default_factory=LoopStalls)
    """Receives a tick whenever the loop runs, as long as probes are under way."""
    share_from: int | None = field(default=None, init=False)
    """Start of the slot from which the whole share is probed; None before the first plan."""
    announce: asyncio.Event = field(default_factory=asyncio.Event, init=False)
    """Set when other probers should learn at once what is probed here, or by which register."""
    _plan: ProbingPlan | None = field(default=None, init=False)
    _schedule: Schedule = field(default_factory=Schedule, init=False)
    _share: Share = field(default_factory=Share, init=False)
    _peers: dict[str, int] = field(default_factory=dict, init=False)
    _inflight: set[asyncio.Task[None]] = field(default_factory=set, init=False)
    _timer: asyncio.TimerHandle | None = field(default=None, init=False)
    _planned: float | None = field(default=None, init=False)
    _at_once: int = field(default=_LAUNCHES_AT_FIRST, init=False)
    _behind_since: float | None = field(default=None, init=False)
    _stopped: bool = field(default=False, init=False)

    @property
    def inflight(self) -> int:
        """The number of probes under way."""
        return len(self._inflight)

    @property
    def targets(self) -> int:
        """The number of links and endpoints in this prober's share."""
        return len(self._share.own)

    @property
    def origin(self) -> Origin | None:
        """The origin of this prober's measurements; None before the first plan."""
        return None if self._plan is None else self._plan.origin

    def use(self, plan: ProbingPlan) -> None:
        """Launch by this plan from now on."""
        self._plan = plan
        self.announce.set()
        if not self._stopped:
            self._take_share(plan)
            self._wake(plan)

    def regroup(self) -> None:
        """Take a new share of the targets if peers came, went, or began to probe theirs."""
        plan = self._plan
        if plan is not None and not self._stopped and self._measuring_peers(plan) != self._peers:
            self._take_share(plan)
            self._wake(plan)

    def stop_launching(self) -> None:
        """Launch nothing more, and leave further launches to other probers."""
        self._stopped = True

    async def finish(self, seconds: float) -> None:
        """Launch nothing more, let the probes under way finish for ``seconds``, and cancel the rest."""
        self.stop_launching()
        if self._inflight:
            await asyncio.wait(self._inflight, timeout=seconds)
        await cancel_and_wait(*self._inflight)
        if self._timer is not None:
            self._timer.cancel()

    def _measuring_peers(self, plan: ProbingPlan) -> dict[str, int]:
        """Return the peers that count. Until measurements of a peer arrive, its targets are probed here as well.

        A prober measures each of its targets once a slot, and publishes the measurement soon after the probe.
        """
        since = monotonic() - 2 * plan.slot_seconds - plan.longest_timeout
        origin = plan.origin
        return self.membership.active_peers(origin.register_version, origin.probe_version, measured_since=since)

    def _take_share(self, plan: ProbingPlan) -> None:
        """Schedule this prober's share of the plan from this moment on.

        Without peers, start at once. With peers, take over at the start of the next slot: then none of their targets is
        left out, and launches that are late because this prober has just started are not shed. For this choice, peers
        that do not measure yet count too.
        """
        now = self.clock()
        slot_start = int(now // plan.slot_seconds) * plan.slot_seconds
        self._peers = self._measuring_peers(plan)
        alive = self.membership.active_peers(plan.origin.register_version, plan.origin.probe_version)
        first_slot = slot_start + plan.slot_seconds if alive else slot_start
        if self.share_from is None or self.share_from > first_slot:
            self.share_from = first_slot
            self.announce.set()
        self._share = plan.targets.assign(self.membership.prober, self.share_from, self._peers, slot_start)
        self.metrics.set_targets(self._share.own, plan.assignments)
        self.log.info("share_taken", targets=len(self._share.own), of=len(plan.assignments), peers=sorted(self._peers))
        self._schedule.replace(self._share.entries, plan.slot_seconds, now)

    def _wake(self, plan: ProbingPlan) -> None:
        """Launch the probes that are due, and wake again for the next, often enough to notice stalls of the loop.

        One timer does both, because a wake-up costs as much as a third of a probe.
        """
        if self._timer is not None:
            self._timer.cancel()
        now = monotonic()
        self.stalls.tick(now)
        if self._planned is not None and now - self._planned > _TURN_SECONDS:
            self._at_once = max(1, self._at_once // 2)
        delay = _LOOK_SECONDS if self._stopped else min(_LOOK_SECONDS, self._launch_due(plan))
        if self._inflight:
            delay = min(delay, TICK_SECONDS)
        else:
            self.stalls.rest()
        self._planned = now + delay
        self._timer = asyncio.get_running_loop().call_later(delay, self._wake, plan)

    def _launch_due(self, plan: ProbingPlan) -> float:
        """Launch the probes that are due, and return in how many seconds more are due."""
        now = self.clock()
        if self.share_from is not None and self.share_from - now > plan.slot_seconds:
            self._take_share(plan)  # the clock was set back, so the former next slot is far ahead
        room = self._at_once
        while room and (launches := self._schedule.take(now, room)):
            room -= sum(self._launch(launch, plan) for launch in launches)
        leapt, self._schedule.leapt = self._schedule.leapt, 0
        if leapt:
            self.metrics.leapt_slots.inc(leapt)
            self.log.warning("slots_leapt", slots=leapt)
        now = self.clock()
        due = self._schedule.next_due(now)
        behind = due is not None and due <= now
        self._behind_since = (self._behind_since or now) if behind else None
        if behind:
            self._at_once = min(_LAUNCHES_AT_ONCE, self._at_once + 1)
        return _LOOK_SECONDS if due is None else max(0.0, due - now)

    def _launch(self, launch: Launch, plan: ProbingPlan) -> bool:
        """Start a probe or shed it; return whether it was started."""
        now = self.clock()
        self.metrics.lag.observe(now - launch.due)
        problem = self._reason_to_shed(launch, now, plan.slot_seconds)
        if problem:
            self.pipeline.publish_unmeasured(launch, plan, Reason.SHED, problem)
            return False
        task = asyncio.get_running_loop().create_task(self.pipeline.probe(launch, plan))
        self._inflight.add(task)
        task.add_done_callback(self._inflight.discard)
        return True

    def _reason_to_shed(self, launch: Launch, now: float, slot_seconds: int) -> str:
        late = now - launch.due
        if now > launch.latest:
            return f"its turn came {late:.1f} s late, too late for this slot"
        if min(late, now - (self._behind_since or now)) > _LATE_SHARE * slot_seconds:
            return f"its turn came {late:.1f} s late, for more is due than can be probed"
        if len(self._inflight) >= self.limit:
            return f"{len(self._inflight)} probes were under way"
        return ""
