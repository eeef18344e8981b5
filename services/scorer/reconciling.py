"""Exchanges beside probes, worked out now and then from what the scorer keeps of both."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from services.core.outcome import Stage
from services.core.reconciliation import Reconciliation, Traffic
from services.indicator.calendar import Calendar
from services.indicator.reconciliation import Carried, Probed, linked, reconcile, traffics
from services.scorer.exchanges import HOUR_SECONDS, Exchanges
from services.scorer.scoring import Scoring

__all__ = ["LATE_SECONDS", "Reconciled", "Reconciler"]

LATE_SECONDS = 600
"""How long after an hour its volume is judged: collectors stay a minute behind, and are asked again and again."""


@dataclass(frozen=True, slots=True)
class Reconciled:
    """What was found of links and of traffic, in all windows of a policy."""

    links: tuple[Reconciliation, ...] = ()
    traffic: tuple[Traffic, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class _Day:
    """Slots known and answered of some links, in consecutive hours from ``first``: (hours, links)."""

    first: int
    known: NDArray[np.int64]
    answered: NDArray[np.int64]


class Reconciler:
    """Remembers what closed days say of probes by the hour, so that each is unpacked once."""

    def __init__(self, exchanges: Exchanges) -> None:
        self._exchanges = exchanges
        self._days: dict[date, _Day] = {}
        self._judged: tuple[object, bytes] = (None, b"")

    async def run(self, scoring: Scoring, end_slot: int) -> Reconciled | None:
        """Reconcile up to a slot, letting others run in between; None when another register came meanwhile.

        Raises StateError.
        """
        calendar, register, frame = scoring.calendar, scoring.register, scoring.frame
        spans = {days: calendar.window(days, end_slot) for days in register.policy.windows_days}
        longest = max(spans.values(), key=len)
        if not longest:
            return Reconciled()
        hours = range(_hour(calendar, longest.start), _hour(calendar, end_slot - 1) + 1)
        windows = {days: (_hour(calendar, span.start), _dates(calendar, span)) for days, span in spans.items() if span}
        carriers, exchanges, ok, began = await asyncio.to_thread(self._exchanges.hours, hours)
        whole = (calendar.start_of(end_slot) - LATE_SECONDS) // HOUR_SECONDS
        carried = Carried(carriers, hours.start, exchanges, ok, began, min(whole, hours.stop))
        rows = linked(register, frame, carriers)
        self._forget(frame, rows, longest, calendar)
        known, answered = np.zeros((2, len(rows), len(hours)), np.int64)
        for day, slots in calendar.days(longest) if len(rows) else ():
            found = self._day(scoring, day, slots, rows)
            at = slice(found.first - hours.start, found.first - hours.start + len(found.known))
            known[:, at] += found.known.T
            answered[:, at] += found.answered.T
            await asyncio.sleep(0)
            if scoring.frame is not frame:
                return None

        def found_of_all() -> Reconciled:
            probed = Probed(rows, known, answered)
            return Reconciled(
                tuple(reconcile(register, frame, carried, probed, windows)), traffics(register, carried, windows)
            )

        return await asyncio.to_thread(found_of_all)

    def _forget(self, frame: object, rows: NDArray[np.int64], span: range, calendar: Calendar) -> None:
        """Forget days that were judged by another frame, or of other links, or that have left the longest window."""
        judged = (frame, rows.tobytes())
        if self._judged != judged:
            self._days.clear()
            self._judged = judged
        first = calendar.day_of(span.start)
        self._days = {day: kept for day, kept in self._days.items() if day >= first}

    def _day(self, scoring: Scoring, day: date, slots: range, rows: NDArray[np.int64]) -> _Day:
        kept = self._days.get(day)
        if kept is not None:
            return kept
        calendar = scoring.calendar
        verdicts = scoring.evidence.verdicts(scoring.frame, slots)[:, rows]
        hour = np.arange(slots.start, slots.stop) * calendar.slot_seconds // HOUR_SECONDS
        known, answered = np.zeros((2, int(hour[-1] - hour[0]) + 1, len(rows)), np.int64)
        np.add.at(known, hour - hour[0], verdicts >= 0)
        np.add.at(answered, hour - hour[0], verdicts >= Stage.INVALID)
        found = _Day(int(hour[0]), known, answered)
        if slots.stop <= scoring.evidence.closed_before:
            self._days[day] = found
        return found


def _hour(calendar: Calendar, slot: int) -> int:
    return calendar.start_of(slot) // HOUR_SECONDS


def _dates(calendar: Calendar, span: range) -> range:
    return range(calendar.day_of(span.start).toordinal(), calendar.day_of(span.stop - 1).toordinal() + 1)
