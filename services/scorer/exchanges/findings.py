"""Watches exchanges step by step for unusual changes (docs/exchange.md §4.3).

The detector's state follows from what the database keeps. After a restart, and when a register or new flows change what
is watched, the steps are read again from the first one on. So a crash at any moment changes no finding. With ten
thousand flows that takes minutes, so a flow is watched only from the day after its first exchanges on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from services.core.log import logger
from services.core.model import (
    Finding,
    FindingKind,
    FindingReview,
    Flow,
    Holiday,
    ProbeView,
    Register,
    Stage,
    join_flow,
    split_flow,
)
from services.core.tasks import run_in_thread
from services.indicator.calendar import HOUR_SECONDS, Calendar
from services.indicator.findings import Detector, DetectorSettings, FlowCounts, Topology
from services.indicator.register_arrays import position_of
from services.register.attribution import UNMAPPED
from services.scorer.evidence_lock import EvidenceLock
from services.scorer.exchanges.database import ExchangeDatabase, ExchangeSnapshot
from services.scorer.exchanges.reconciler import LATE_SECONDS, ReconciliationReport
from services.scorer.index import Scoring

LATE_STEPS = 4
"""How many steps after a step it is judged, if that is less than LATE_SECONDS."""

KEPT_WEEKS = 4
"""Weeks for which findings are published after they ended: a month of them can be looked through and reviewed."""

MOST_FINDINGS = 500
"""The maximum number of findings that are published: ongoing ones before others, then the newest.

Each takes some 300 bytes, in one block with everything else of the government.
"""

MOST_FLOWS = 50_000
"""The maximum number of flows that are watched: those known longest.

Each takes some 17 KB of memory. Flows that a hostile collector invents come after the known ones.
"""

_AT_ONCE = 240_000
"""Steps of all flows together that are read at once.

They take some 50 MB of durations and sums, so that memory does not grow with what is kept.
"""

_ASKING = "getSecurityServerOperationalData"
"""The X-Road service by which a collector reads a server.

The query itself is an exchange over the bus, and in its logs.
"""

_PROBED_SECONDS = 48 * 3_600
"""The latest part of a finding in which its probes are looked at, since slots are kept in detail for this long."""

_PASSING = 0.9
"""The share of known slots from which on probes pass: at most one in ten failed."""


@dataclass(frozen=True, slots=True)
class _Watched:
    """What a detector watches, and how. A new detector begins when any of it changes."""

    topology: Topology
    settings: DetectorSettings
    calendar: Calendar
    holidays: tuple[Holiday, ...]


class FindingWatch:
    """Findings about exchanges, as of the last complete step."""

    def __init__(self, exchanges: ExchangeDatabase, evidence_lock: EvidenceLock) -> None:
        self._exchanges = exchanges
        self._evidence_lock = evidence_lock
        self._watched: _Watched | None = None
        self._detector: Detector | None = None
        self._next = 0
        self._left_out = 0
        self._found: dict[str, Finding] = {}
        self._probes_of_over: dict[str, tuple[tuple[bytes, frozenset[str]], ProbeView]] = {}
        """What probes said about findings that ended on closed days, by id, and the verdicts and links that said it."""

    async def look(self, scoring: Scoring, end_slot: int) -> tuple[Finding, ...]:
        """Judge what came in up to a slot; return findings that are ongoing or ended lately, the newest first.

        Raises StateError.
        """
        register, calendar = scoring.register, scoring.calendar
        settings = detector_settings(register)
        step_seconds = settings.step_seconds
        end = (calendar.start_of(end_slot) - min(LATE_SECONDS, LATE_STEPS * step_seconds)) // step_seconds
        with self._exchanges.reading() as snapshot:
            firsts = snapshot.first_steps(step_seconds)
            today = end - end % settings.day_steps
            flows = [
                position for position, first in firsts.items() if first < today and not snapshot.flows[position].meta
            ]
            if not flows:
                return ()
            flows = self._watchable(flows, firsts)
            topology = _topology([snapshot.flows[position] for position in flows])
            watched = _Watched(topology, settings, calendar, register.holidays)
            await asyncio.to_thread(self._adopt, watched, min(firsts.values()))
            task = asyncio.current_task()
            assert task is not None
            while self._next < end:
                steps = range(self._next, min(self._next + max(_AT_ONCE // len(flows), settings.day_steps), end))
                await run_in_thread(partial(self._advance, watched, snapshot, flows, steps, task.cancelling))
        now = end * step_seconds
        oldest = now - KEPT_WEEKS * settings.week_steps * step_seconds
        self._found = {key: one for key, one in self._found.items() if (one.ended_at or now) >= oldest}
        kept = sorted(self._found.values(), key=lambda one: (one.ended_at is not None, -one.since))[:MOST_FINDINGS]
        newest = sorted(kept, key=lambda one: (-one.since, one.id))
        reviews = {review.finding: review for review in register.reviews}
        self._probes_of_over = {key: view for key, view in self._probes_of_over.items() if key in self._found}
        judging = await asyncio.to_thread(scoring.arrays.judging_digest) if newest else b""
        return tuple(
            [
                _reviewed(replace(one, probes=await self._beside_probes(scoring, one, now, judging)), reviews)
                for one in newest
            ]
        )

    def _watchable(self, flows: list[int], firsts: Mapping[int, int]) -> list[int]:
        left_out, self._left_out = self._left_out, max(len(flows) - MOST_FLOWS, 0)
        if not self._left_out:
            return flows
        if self._left_out != left_out:
            logger().warning("flows_not_watched", left_out=self._left_out, watched=MOST_FLOWS)
        return sorted(sorted(flows, key=lambda flow: (firsts[flow], flow))[:MOST_FLOWS])

    def _adopt(self, watched: _Watched, first: int) -> None:
        """Begin again with the first step if something else is watched than before."""
        if watched == self._watched and self._detector is not None:
            return
        self._watched, self._found = watched, {}
        self._detector = Detector(watched.topology, watched.settings)
        self._next = first

    def _advance(
        self,
        watched: _Watched,
        snapshot: ExchangeSnapshot,
        flows: Sequence[int],
        steps: range,
        stopped: Callable[[], int],
    ) -> None:
        """Judge steps, but none after a stop: a chunk of them may take longer than a process has to end."""
        assert self._detector is not None
        step_seconds = watched.settings.step_seconds
        read = snapshot.steps(flows, steps, step_seconds)
        exchanges, ok, bus_failures = read.counts.astype(np.float64)
        starts = np.arange(steps.start, steps.stop) * step_seconds
        counts = FlowCounts(
            start=int(starts[0]),
            week_step=_week_steps(watched, steps),
            kind=watched.calendar.day_kinds(starts, watched.holidays),
            read=exchanges.any(axis=0) | _all_answered(snapshot, flows, steps, step_seconds),
            count=exchanges,
            bus_failures=bus_failures,
            provider_failures=exchanges - ok - bus_failures,
            repeats=np.where(read.counted == exchanges, read.repeats, np.nan),
            durations=read.durations,
            size=np.where(read.durations.sum(axis=2) == exchanges, read.size, np.nan),
        )
        for step in counts.steps(step_seconds):
            if stopped():
                return
            self._detector.advance(step).apply_to(self._found)
            self._next += 1

    async def _beside_probes(self, scoring: Scoring, finding: Finding, now: int, judging: bytes) -> ProbeView:
        """Return what the probes of a finding's links have said since it began.

        ``judging`` is the digest of what verdicts depend on.
        """
        until = now if finding.ended_at is None else finding.ended_at
        calendar = scoring.calendar
        slots = range(calendar.slot_of(max(finding.since, until - _PROBED_SECONDS)), calendar.slot_of(until))
        links = frozenset(link for flow in finding.flows for link in _links(scoring, flow))
        if not links or not slots:
            return ProbeView.NONE
        said_by = judging, links
        before, view = self._probes_of_over.get(finding.id, (None, ProbeView.NONE))
        if before == said_by:
            return view
        view = await self._evidence_lock.run(partial(_probes, scoring, links, slots))
        # Until its days are closed, measurements may still come.
        if finding.ended_at is not None and slots.stop <= scoring.evidence.closed_before:
            self._probes_of_over[finding.id] = said_by, view
        return view


def _all_answered(
    snapshot: ExchangeSnapshot, flows: Sequence[int], steps: range, step_seconds: int
) -> NDArray[np.bool_]:
    """Return in which steps every server answered whose records are requested.

    In these steps the logs were read, even if nothing else was exchanged. Without that sign, as on a bus that is not
    X-Road, they may not have been.
    """
    asking = [number for number, flow in enumerate(snapshot.flows) if flow.service.rpartition("/")[2] == _ASKING]
    buses = {snapshot.flows[number].bus for number in asking}
    if any(snapshot.flows[number].bus not in buses for number in flows):
        return np.zeros(len(steps), np.bool_)
    return np.asarray((snapshot.steps(asking, steps, step_seconds).counts[1] > 0).all(axis=0))


def _probes(scoring: Scoring, links: Collection[str], slots: range) -> ProbeView:
    """Return what the probes of links say in some slots. Answers pass whatever they hold, as the bus counts them."""
    positions = (position_of(scoring.arrays.links, link) for link in links)
    rows = [position for position in positions if position is not None]
    verdicts = scoring.evidence.verdicts(scoring.arrays, slots)[:, rows]
    known = int((verdicts >= 0).sum())
    if not known:
        return ProbeView.NONE
    return ProbeView.PASS if (verdicts >= Stage.INVALID).sum() >= _PASSING * known else ProbeView.FAIL


def with_findings(report: ReconciliationReport, scoring: Scoring, findings: Iterable[Finding]) -> ReconciliationReport:
    """Return a report that marks links as unusual in volume while findings about their volume are ongoing."""
    volumes = (FindingKind.SILENCE, FindingKind.FALL, FindingKind.RISE)
    going_on = [one for one in findings if one.kind in volumes and one.ended_at is None]
    unusual = {link for one in going_on for flow in one.flows for link in _links(scoring, flow)}
    marked = (
        replace(one, volume=replace(one.volume, unusual=True))
        if one.volume is not None and one.link in unusual
        else one
        for one in report.links
    )
    return replace(report, links=tuple(marked))


def detector_settings(register: Register) -> DetectorSettings:
    """Return the detector's settings from the policy of a register."""
    policy = register.policy.findings
    return DetectorSettings(policy.false_findings_per_week, policy.step_seconds, policy.week_steps)


def _reviewed(finding: Finding, reviews: Mapping[str, FindingReview]) -> Finding:
    review = reviews.get(finding.id)
    return finding if review is None else replace(finding, review=review.state, note=review.note)


def _topology(flows: Sequence[Flow]) -> Topology:
    return Topology(
        flows=tuple(join_flow(flow.bus, flow.client, flow.service) for flow in flows),
        bus=tuple(flow.bus for flow in flows),
        service=tuple(f"{flow.bus} {flow.service}" for flow in flows),
        # Parties that the register does not know have nothing in common.
        provider=tuple(
            flow.service.rpartition("/")[0] if flow.provider == UNMAPPED else flow.provider for flow in flows
        ),
        consumer=tuple(flow.client if flow.consumer == UNMAPPED else flow.consumer for flow in flows),
    )


def _week_steps(watched: _Watched, steps: range) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Return the place of each step in the week, by local clocks if steps are hours."""
    if watched.settings.step_seconds == HOUR_SECONDS:
        return watched.calendar.local_hours(steps) % watched.settings.week_steps
    return np.arange(steps.start, steps.stop) % watched.settings.week_steps


def _links(scoring: Scoring, flow: str) -> frozenset[str]:
    _, client, service = split_flow(flow)
    return scoring.compiled.attributor.links(client, service)
