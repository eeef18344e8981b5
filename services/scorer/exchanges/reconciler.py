"""Compares exchanges with probes, from what the scorer keeps of both (docs/exchange.md §4)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import partial

import numpy as np
from numpy.typing import NDArray

from services.core.model import Reconciliation, Stage, Traffic
from services.core.tasks import run_in_thread
from services.indicator.calendar import HOUR_SECONDS, Calendar
from services.indicator.exchanges import (
    DailyFlows,
    FlowsByLink,
    HourlyCounts,
    WindowSpan,
    assign_flows,
    find_silent_links,
    flows_per_link,
    links_with_flows,
    reconcile_links,
    traffic_by_window,
)
from services.indicator.register_arrays import RegisterArrays
from services.scorer.evidence_lock import EvidenceLock
from services.scorer.exchanges.database import ExchangeDatabase, ExchangeSnapshot
from services.scorer.index import Scoring

LATE_SECONDS = 600
"""How long after an hour it is judged, since collectors stay a minute behind and retry."""

_AT_ONCE = 256
"""How many links or flows have their hours in memory at once, so that memory does not grow with the register."""


@dataclass(frozen=True, slots=True)
class ReconciliationReport:
    """The comparison of links, and the traffic, in all windows of a policy."""

    links: tuple[Reconciliation, ...] = ()
    traffic: tuple[Traffic, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class _ProbedDay:
    """Known and answered slots of links, in consecutive hours from ``first``: (hours, links) each."""

    first: int
    known: NDArray[np.unsignedinteger]
    answered: NDArray[np.unsignedinteger]


class Reconciler:
    """Compares exchanges with probes. Caches the hours of closed days, so that each day is unpacked once."""

    def __init__(self, exchanges: ExchangeDatabase, evidence_lock: EvidenceLock) -> None:
        self._exchanges = exchanges
        self._evidence_lock = evidence_lock
        self._days: dict[date, _ProbedDay] = {}
        self._days_of: tuple[object, tuple[int, ...]] = (None, ())  # the arrays and the links of the cached days

    async def run(self, scoring: Scoring, end_slot: int) -> ReconciliationReport | None:
        """Reconcile up to a slot, letting others run in between. Returns None if another register came meanwhile.

        Raises StateError.
        """
        calendar, register, arrays = scoring.calendar, scoring.register, scoring.arrays
        slots = {days: calendar.window(days, end_slot) for days in register.policy.windows_days}
        longest = max(slots.values(), key=len)
        if not longest:
            return ReconciliationReport()
        windows = {days: _span(calendar, span) for days, span in slots.items() if span}
        hours = calendar.hours(longest)
        clock = calendar.local_hours(hours)
        # The snapshot is closed at the end, also after a cancellation. SQLite crashes if a thread still reads it then.
        with self._exchanges.reading() as snapshot:
            by_link = await asyncio.to_thread(assign_flows, register, snapshot.flows)
            carried = await _carried(snapshot, calendar, longest)
            rows = await asyncio.to_thread(links_with_flows, arrays, by_link)
            self._forget(arrays, rows, longest, calendar)
            probed = []
            for day, of_day in calendar.days(longest) if rows else ():
                of_probes = await self._evidence_lock.run(partial(self._day, scoring, arrays, day, of_day, rows))
                if of_probes is None:
                    return None
                probed.append(of_probes)
            silent = await asyncio.to_thread(find_silent_links, register, arrays, by_link, carried, windows)
            links = [link for of_window, _ in silent.values() for link in of_window]
            whole = min((calendar.start_of(end_slot) - LATE_SECONDS) // HOUR_SECONDS, hours.stop)
            for start in range(0, len(rows), _AT_ONCE):
                part = range(start, min(start + _AT_ONCE, len(rows)))
                names = [arrays.links[rows[position]] for position in part]

                def compare(names: Sequence[str] = names, part: range = part) -> list[Reconciliation]:
                    by_hour = _hours(snapshot, by_link, names, hours, probed, part)
                    return list(
                        reconcile_links(names, by_link, by_hour, windows, clock=clock, since=carried.since, whole=whole)
                    )

                links += await run_in_thread(compare)
                if scoring.arrays is not arrays:
                    return None
        links = _with_last_hour(links, max(windows))
        links.sort(key=lambda link: (link.window_days, link.link))
        unseen = {days: share for days, (_, share) in silent.items()}
        return ReconciliationReport(
            tuple(links), await asyncio.to_thread(traffic_by_window, arrays, carried, windows, unseen)
        )

    def _forget(self, arrays: object, rows: Sequence[int], span: range, calendar: Calendar) -> None:
        """Drop cached days of other arrays or other links, and days that have left the longest window."""
        days_of = (arrays, tuple(rows))
        if self._days_of != days_of:
            self._days.clear()
            self._days_of = days_of
        first = calendar.day_of(span.start)
        self._days = {day: cached for day, cached in self._days.items() if day >= first}

    def _day(
        self, scoring: Scoring, arrays: RegisterArrays, day: date, slots: range, rows: Sequence[int]
    ) -> _ProbedDay | None:
        if scoring.arrays is not arrays:
            return None
        cached = self._days.get(day)
        if cached is not None:
            return cached
        calendar, hours = scoring.calendar, scoring.calendar.hours(slots)
        verdicts = scoring.evidence.verdicts(arrays, slots)[:, rows]
        hour = np.arange(slots.start, slots.stop) * calendar.slot_seconds // HOUR_SECONDS
        starts = np.flatnonzero(np.diff(hour, prepend=-1))
        narrow = np.min_scalar_type(-(-HOUR_SECONDS // calendar.slot_seconds))
        known, answered = np.zeros((2, len(hours), len(rows)), narrow)
        positions = hour[starts] - hours.start  # a slot may be longer than an hour
        known[positions] = np.add.reduceat(verdicts >= 0, starts, axis=0, dtype=narrow)
        answered[positions] = np.add.reduceat(verdicts >= Stage.INVALID, starts, axis=0, dtype=narrow)
        probed = _ProbedDay(hours.start, known, answered)
        if slots.stop <= scoring.evidence.closed_before:
            self._days[day] = probed
        return probed


def _with_last_hour(links: Sequence[Reconciliation], longest: int) -> list[Reconciliation]:
    """Give links that are silent in a window the hour of their last exchange in the longest window."""
    used = {link.link: link.last_hour for link in links if link.window_days == longest and not link.silent}
    return [replace(link, last_hour=used[link.link]) if link.silent and link.link in used else link for link in links]


async def _carried(snapshot: ExchangeSnapshot, calendar: Calendar, slots: range) -> DailyFlows:
    """Sum exchanges by day, reading some flows at a time in a thread. The whole hour in which a day begins counts for that day."""
    span = _span(calendar, slots)
    starts = [calendar.hours(of_day).start - span.hours.start for _, of_day in calendar.days(slots)]
    number, since = len(snapshot.flows), span.hours.stop
    exchanges, ok = np.zeros((2, number, len(starts)), np.int64)
    for start in range(0, number, _AT_ONCE):
        part = range(start, min(start + _AT_ONCE, number))
        by_hour, ok_by_hour = await run_in_thread(partial(snapshot.hours, part, span.hours))
        exchanges[part] = np.add.reduceat(by_hour, starts, axis=1, dtype=np.int64)
        ok[part] = np.add.reduceat(ok_by_hour, starts, axis=1, dtype=np.int64)
        used = np.flatnonzero(by_hour.any(axis=0))
        since = min(since, span.hours.start + int(used[0])) if len(used) else since
    return DailyFlows(snapshot.flows, span.days.start, exchanges, ok, since)


def _hours(
    snapshot: ExchangeSnapshot,
    by_link: FlowsByLink,
    links: Sequence[str],
    hours: range,
    probed: Sequence[_ProbedDay],
    rows: range,
) -> HourlyCounts:
    """Return exchanges and probes of some links by the hour; ``rows`` are their positions in ``probed``."""
    flows = flows_per_link(by_link, links)
    needed = sorted({flow for of_link in flows for flow in of_link})
    by_hour, ok_by_hour = snapshot.hours(needed, hours)
    positions = {flow: position for position, flow in enumerate(needed)}
    exchanges, ok, known, answered = np.zeros((4, len(links), len(hours)), np.int64)
    for row, of_link in enumerate(flows):
        own = [positions[flow] for flow in of_link]
        exchanges[row], ok[row] = by_hour[own].sum(axis=0), ok_by_hour[own].sum(axis=0)
    for day in probed:
        within = slice(day.first - hours.start, day.first - hours.start + len(day.known))
        known[:, within] += day.known[:, rows].T
        answered[:, within] += day.answered[:, rows].T
    return HourlyCounts(exchanges, ok, known, answered)


def _span(calendar: Calendar, slots: range) -> WindowSpan:
    first, last = calendar.day_of(slots.start), calendar.day_of(slots.stop - 1)
    days = range(first.toordinal(), last.toordinal() + 1)
    return WindowSpan(calendar.hours(slots), days, calendar.start_of(slots.stop))
