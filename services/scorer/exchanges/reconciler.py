"""Exchanges beside probes, worked out now and then from what the scorer keeps of both."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import partial

import numpy as np
from numpy.typing import NDArray

from services.core.model import Reconciliation, Stage, Traffic
from services.indicator.calendar import Calendar
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
from services.scorer.exchanges.hourly import HOUR_SECONDS
from services.scorer.index import Scoring

__all__ = ["LATE_SECONDS", "Reconciler", "ReconciliationReport"]

LATE_SECONDS = 600
"""How long after an hour its volume is judged: collectors stay a minute behind, and are asked again and again."""

_AT_ONCE = 256
"""Links, or carriers, whose hours are held at once: memory does not grow with the register."""


@dataclass(frozen=True, slots=True)
class ReconciliationReport:
    """What was found of links and of traffic, in all windows of a policy."""

    links: tuple[Reconciliation, ...] = ()
    traffic: tuple[Traffic, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class _ProbedDay:
    """Slots known and answered of some links, in consecutive hours from ``first``: (hours, links)."""

    first: int
    known: NDArray[np.unsignedinteger]
    answered: NDArray[np.unsignedinteger]


class Reconciler:
    """Remembers what closed days say of probes by the hour, so that each is unpacked once."""

    def __init__(self, exchanges: ExchangeDatabase, evidence_lock: EvidenceLock) -> None:
        self._exchanges = exchanges
        self._evidence_lock = evidence_lock
        self._days: dict[date, _ProbedDay] = {}
        self._judged: tuple[object, tuple[int, ...]] = (None, ())

    async def run(self, scoring: Scoring, end_slot: int) -> ReconciliationReport | None:
        """Reconcile up to a slot, letting others run in between; None when another register came meanwhile.

        Raises StateError.
        """
        calendar, register, arrays = scoring.calendar, scoring.register, scoring.arrays
        slots = {days: calendar.window(days, end_slot) for days in register.policy.windows_days}
        longest = max(slots.values(), key=len)
        if not longest:
            return ReconciliationReport()
        windows = {days: _span(calendar, span) for days, span in slots.items() if span}
        hours = _span(calendar, longest).hours
        clock = calendar.local_hours(hours)
        with self._exchanges.reading() as reading:
            found = await asyncio.to_thread(assign_flows, register, reading.carriers)
            carried = await asyncio.to_thread(_carried, reading, calendar, longest)
            rows = await asyncio.to_thread(links_with_flows, arrays, found)
            self._forget(arrays, rows, longest, calendar)
            probed = []
            for day, of_day in calendar.days(longest) if rows else ():
                of_probes = await self._evidence_lock.run(partial(self._day, scoring, arrays, day, of_day, rows))
                if of_probes is None:
                    return None
                probed.append(of_probes)
            silent = await asyncio.to_thread(find_silent_links, register, arrays, found, carried, windows)
            links = [one for of_window, _ in silent.values() for one in of_window]
            whole = min((calendar.start_of(end_slot) - LATE_SECONDS) // HOUR_SECONDS, hours.stop)
            for start in range(0, len(rows), _AT_ONCE):
                part = range(start, min(start + _AT_ONCE, len(rows)))
                names = [arrays.links[rows[at]] for at in part]

                def some(names: Sequence[str] = names, part: range = part) -> list[Reconciliation]:
                    of = _hours(reading, found, names, hours, probed, part)
                    told = reconcile_links(names, found, of, windows, clock=clock, since=carried.since, whole=whole)
                    return list(told)

                links += await asyncio.to_thread(some)
                if scoring.arrays is not arrays:
                    return None
        links = _remembered(links, max(windows))
        links.sort(key=lambda one: (one.window_days, one.link))
        unseen = {days: share for days, (_, share) in silent.items()}
        return ReconciliationReport(
            tuple(links), await asyncio.to_thread(traffic_by_window, arrays, carried, windows, unseen)
        )

    def _forget(self, arrays: object, rows: Sequence[int], span: range, calendar: Calendar) -> None:
        """Forget days that were judged by another register, or of other links, or that have left the longest window."""
        judged = (arrays, tuple(rows))
        if self._judged != judged:
            self._days.clear()
            self._judged = judged
        first = calendar.day_of(span.start)
        self._days = {day: kept for day, kept in self._days.items() if day >= first}

    def _day(
        self, scoring: Scoring, arrays: RegisterArrays, day: date, slots: range, rows: Sequence[int]
    ) -> _ProbedDay | None:
        if scoring.arrays is not arrays:
            return None
        kept = self._days.get(day)
        if kept is not None:
            return kept
        calendar = scoring.calendar
        verdicts = scoring.evidence.verdicts(arrays, slots)[:, rows]
        hour = np.arange(slots.start, slots.stop) * calendar.slot_seconds // HOUR_SECONDS
        starts = np.flatnonzero(np.diff(hour, prepend=-1))
        narrow = np.min_scalar_type(-(-HOUR_SECONDS // calendar.slot_seconds))
        known, answered = np.zeros((2, int(hour[-1] - hour[0]) + 1, len(rows)), narrow)
        at = hour[starts] - hour[0]  # a slot may be longer than an hour
        known[at] = np.add.reduceat(verdicts >= 0, starts, axis=0, dtype=narrow)
        answered[at] = np.add.reduceat(verdicts >= Stage.INVALID, starts, axis=0, dtype=narrow)
        found = _ProbedDay(int(hour[0]), known, answered)
        if slots.stop <= scoring.evidence.closed_before:
            self._days[day] = found
        return found


def _remembered(links: Sequence[Reconciliation], longest: int) -> list[Reconciliation]:
    """Say of links that are silent in a window when they were last used in the longest one."""
    used = {one.link: one.last_hour for one in links if one.window_days == longest and not one.silent}
    return [replace(one, last_hour=used[one.link]) if one.silent and one.link in used else one for one in links]


def _carried(reading: ExchangeSnapshot, calendar: Calendar, slots: range) -> DailyFlows:
    """Sum exchanges by day; the hour in which a day begins counts to it as a whole."""
    span = _span(calendar, slots)
    starts = [_hour(calendar, of_day.start) - span.hours.start for _, of_day in calendar.days(slots)]
    number, since = len(reading.carriers), span.hours.stop
    exchanges, ok = np.zeros((2, number, len(starts)), np.int64)
    for start in range(0, number, _AT_ONCE):
        some = range(start, min(start + _AT_ONCE, number))
        by_hour, good = reading.hours(some, span.hours)
        exchanges[some] = np.add.reduceat(by_hour, starts, axis=1, dtype=np.int64)
        ok[some] = np.add.reduceat(good, starts, axis=1, dtype=np.int64)
        heard = np.flatnonzero(by_hour.any(axis=0))
        since = min(since, span.hours.start + int(heard[0])) if len(heard) else since
    return DailyFlows(reading.carriers, span.days.start, exchanges, ok, since)


def _hours(
    reading: ExchangeSnapshot,
    found: FlowsByLink,
    links: Sequence[str],
    hours: range,
    probed: Sequence[_ProbedDay],
    rows: range,
) -> HourlyCounts:
    """Put exchanges and probes of some links side by side; ``rows`` are their positions in what was ``probed``."""
    carriers = flows_per_link(found, links)
    needed = sorted({carrier for of_link in carriers for carrier in of_link})
    by_hour, good = reading.hours(needed, hours)
    at = {carrier: position for position, carrier in enumerate(needed)}
    exchanges, ok, known, answered = np.zeros((4, len(links), len(hours)), np.int64)
    for row, of_link in enumerate(carriers):
        own = [at[carrier] for carrier in of_link]
        exchanges[row], ok[row] = by_hour[own].sum(axis=0), good[own].sum(axis=0)
    for day in probed:
        within = slice(day.first - hours.start, day.first - hours.start + len(day.known))
        known[:, within] += day.known[:, rows].T
        answered[:, within] += day.answered[:, rows].T
    return HourlyCounts(exchanges, ok, known, answered)


def _hour(calendar: Calendar, slot: int) -> int:
    return calendar.start_of(slot) // HOUR_SECONDS


def _span(calendar: Calendar, slots: range) -> WindowSpan:
    first, last = calendar.day_of(slots.start), calendar.day_of(slots.stop - 1)
    return WindowSpan(
        range(_hour(calendar, slots.start), _hour(calendar, slots.stop - 1) + 1),
        range(first.toordinal(), last.toordinal() + 1),
        calendar.start_of(slots.stop),
    )
