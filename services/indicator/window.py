"""The evidence of open slots and closed days, in memory (INDICATOR.md §2-3; DESIGN.md, Time, loss and duplication)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import date, timedelta

import numpy as np

from services.core.evidence import MeasurementColumns, Target
from services.core.outcome import Outcome
from services.indicator.calendar import Calendar
from services.indicator.cells import EMPTY, outcomes, reasons, verdict
from services.indicator.frame import Frame
from services.indicator.judge import Judge, Judged
from services.indicator.slots import Slots
from services.indicator.states import Changes, DayState, SlotDetail, SlotState, Taken
from services.indicator.tally import Tally, WindowCounts

__all__ = ["Calendar", "Changes", "DayState", "Evidence", "SlotDetail", "SlotState", "Taken", "WindowCounts", "verdict"]


class Evidence:
    """All measurements taken in, as slots (open, or closed but still kept in detail) and closed days.

    Columns belong to targets in the order they were first heard of, whether a register knows them or not: a register
    that arrives after the measurements finds them. Open slots are judged by the frame asked for, so a changed register
    applies to all of them; closed days keep their links' counts as judged when they closed. In-force dates and
    live_from are applied to closed days when they are read. The joint counts behind E of a closed day (§4) are of the
    links that were in force and live when its slots closed.
    """

    def __init__(self, calendar: Calendar) -> None:
        self.calendar = calendar
        self._slots = Slots()
        self._services: list[str] = []
        self._closed: dict[date, Tally] = {}
        self._closed_to: dict[date, int] = {}
        self._closed_before = calendar.epoch_slot
        self._unsaved_slots: set[int] = set()
        self._unsaved_days: set[date] = set()
        # What follows depends on the frame, and is forgotten when another is asked for.
        self._judge: Judge | None = None
        self._service_columns = np.zeros(0, dtype=np.int64)
        self._open: dict[date, Tally] = {}
        self._counted: dict[int, Judged] = {}
        self._stale: set[int] = set()
        self._settled: dict[int, tuple[tuple[date, date], WindowCounts]] = {}

    @classmethod
    def restore(
        cls,
        calendar: Calendar,
        *,
        targets: Sequence[Target],
        vantages: Sequence[str],
        services: Sequence[str],
        slots: Iterable[SlotState],
        days: Iterable[DayState],
    ) -> Evidence:
        """Return the evidence that was saved, in whatever mixture of ages the states are (see ``Changes``)."""
        evidence = cls(calendar)
        evidence._slots = Slots(targets, vantages)
        evidence._services = list(services)
        for day in days:
            tally = evidence._closed[day.day] = Tally(calendar.slot_seconds)
            tally.counts, tally.up, tally.down = (
                array.astype(tally.up.dtype) for array in (day.counts, day.up, day.down)
            )
            evidence._closed_to[day.day] = day.closed_before
            evidence._closed_before = max(evidence._closed_before, day.closed_before)
        for slot in slots:
            evidence._slots[slot.slot] = slot.cells
        return evidence

    @property
    def closed_before(self) -> int:
        """Slots before this one are closed: rows that name them are late."""
        return self._closed_before

    @property
    def last_slot(self) -> int | None:
        """The latest slot kept in detail, or None."""
        return max(self._slots, default=None)

    @property
    def vantages(self) -> tuple[str, ...]:
        """The vantages heard of, in the order of the cells' rows."""
        return tuple(self._slots.vantages)

    def take(self, columns: MeasurementColumns) -> Taken:
        """Take in one batch. Taking it in again, or in another order, changes nothing (§2, invariant 13)."""
        slot, offset = np.divmod(columns.slot_start, self.calendar.slot_seconds)
        misplaced = (offset != 0) | (slot < self.calendar.epoch_slot)
        late = ~misplaced & (slot < self._closed_before)
        rows = np.flatnonzero(~misplaced & ~late)
        changed = self._slots.merge(columns, rows, slot[rows])
        self._stale |= changed
        self._unsaved_slots |= changed
        return Taken(
            accepted=len(rows),
            late=int(late.sum()),
            misplaced=int(misplaced.sum()),
            changed=tuple(sorted(changed)),
        )

    def window(self, frame: Frame, days: int, end_slot: int) -> WindowCounts:
        """Count one window under one register version.

        Only slots that changed since the last call are judged anew. Raises ValueError when ``end_slot`` lies before
        slots that are closed: what was counted there cannot be told apart any more.
        """
        if end_slot < self._closed_before and self._closed:
            raise ValueError(f"slots before {self._closed_before} are closed, so no window can end at slot {end_slot}")
        judge = self._judge_by(frame)
        self._recount(judge, end_slot)
        span = self.calendar.window(days, end_slot)
        if not span:
            return WindowCounts.zero(frame)
        first, last = self.calendar.day_of(span.start), self.calendar.day_of(span.stop - 1)
        # Days before this one are closed and whole in the window: their sum stays, so it is kept.
        fresh = max(first, self.calendar.day_of(min(self._closed_before, end_slot)))
        key, total = self._settled.get(days, (None, None))
        if key != (first, fresh) or total is None:
            total = WindowCounts.zero(frame)
            self._add_days(judge, total, span, first, fresh)
            self._settled[days] = ((first, fresh), total)
        total = total.copy()
        self._add_days(judge, total, span, fresh, last + timedelta(days=1))
        return total

    def close(self, frame: Frame, before: int) -> None:
        """Close every slot before ``before`` into its day's counts, judged by ``frame``; later rows for it are late."""
        if before <= self._closed_before:
            return
        judge = self._judge_by(frame)
        for slot in sorted(slot for slot in self._slots if self._closed_before <= slot < before):
            self._uncount(slot)
            day = self.calendar.day_of(slot)
            tally = self._closed.setdefault(day, Tally(self.calendar.slot_seconds))
            tally.add(self._judged(judge, slot), self._service_columns)
            self._stale.discard(slot)
            self._unsaved_days.add(day)
        for day in self._closed:
            reached = min(before, self.calendar.first_slot(day + timedelta(days=1)))
            if self._closed_to.get(day) != reached:
                self._closed_to[day] = reached
                self._unsaved_days.add(day)
        self._closed_before = before

    def drop(self, *, detail_before: int, days_before: date) -> tuple[tuple[int, ...], tuple[date, ...]]:
        """Forget the detail of closed slots before ``detail_before``, and the closed days before ``days_before``.

        Returns the slots and the days forgotten, so that their files can go too.
        """
        slots = tuple(sorted(slot for slot in self._slots if slot < min(detail_before, self._closed_before)))
        open_day = self.calendar.day_of(self._closed_before)
        days = tuple(sorted(day for day in self._closed if day < min(days_before, open_day)))
        for slot in slots:
            del self._slots[slot]
            self._unsaved_slots.discard(slot)
        for day in days:
            del self._closed[day], self._closed_to[day]
            self._unsaved_days.discard(day)
        for day in [day for day in self._open if day < open_day]:
            del self._open[day]
        self._settled.clear()
        return slots, days

    def drain(self) -> Changes:
        """Return copies of all that changed since the last call.

        It is not offered again: a process that failed to save it must end and start from what is on disk.
        """
        changes = Changes(
            targets=tuple(self._slots.targets),
            vantages=tuple(self._slots.vantages),
            services=tuple(self._services),
            slots=tuple(SlotState(slot, self._slots[slot].copy()) for slot in sorted(self._unsaved_slots)),
            days=tuple(
                DayState(
                    day=day,
                    closed_before=self._closed_to[day],
                    counts=self._closed[day].counts.copy(),
                    up=self._closed[day].up.copy(),
                    down=self._closed[day].down.copy(),
                )
                for day in sorted(self._unsaved_days)
            ),
        )
        self._unsaved_slots.clear()
        self._unsaved_days.clear()
        return changes

    def detail(self, frame: Frame, slots: range, targets: Sequence[Target]) -> SlotDetail:
        """Return the evidence behind some targets' slots, judged by ``frame``.

        Every call costs a look at each slot: ask once for ``frame.targets`` and cut, rather than once per agency.
        """
        judge = self._judge_by(frame)
        columns = self._slots.columns_of(targets)
        row, link = judge.links_among(targets)
        verdicts = np.full((len(slots), len(targets)), Outcome.UNKNOWN, dtype=np.uint8)
        cells = np.full((len(slots), len(targets), len(self._slots.vantages)), EMPTY, dtype=np.int64)
        for at, slot in enumerate(slots):
            if slot in self._slots:
                counted = None if slot in self._stale else self._counted.get(slot)
                reached = judge.verdict(self._slots[slot], self.vantages) if counted is None else counted.verdict
                heard = columns < len(reached)
                verdicts[at, heard] = reached[columns[heard]] + Outcome.NOT_CONNECTED
                cells[at] = self._slots[slot][:, columns].T
            force = judge.force(self.calendar.day_of(slot).toordinal())
            verdicts[at, row[~force.live[link]]] = Outcome.NOT_CONNECTED
            verdicts[at, row[~force.in_force[link]]] = 0
            if slot < self.calendar.epoch_slot:
                verdicts[at] = 0
        return SlotDetail(slots.start, self.vantages, verdicts, outcomes(cells), reasons(cells))

    def _judge_by(self, frame: Frame) -> Judge:
        if self._judge is None or self._judge.frame is not frame:
            self._judge = Judge(frame, self._slots.columns_of(frame.targets))
            at = {service: column for column, service in enumerate(self._services)}
            self._services += [service for service in frame.services if service not in at]
            at = {service: column for column, service in enumerate(self._services)}
            self._service_columns = np.array([at[service] for service in frame.services], dtype=np.int64)
            self._open.clear()
            self._counted.clear()
            self._settled.clear()
            self._stale = {slot for slot in self._slots if slot >= self._closed_before}
        return self._judge

    def _judged(self, judge: Judge, slot: int) -> Judged:
        return judge.judge(self._slots[slot], self.vantages, self.calendar.day_of(slot).toordinal())

    def _recount(self, judge: Judge, end_slot: int) -> None:
        for slot in [slot for slot in self._counted if slot >= end_slot]:
            self._uncount(slot)
            self._stale.add(slot)
        for slot in sorted(slot for slot in self._stale if slot < end_slot):
            self._uncount(slot)
            judged = self._counted[slot] = self._judged(judge, slot)
            tally = self._open.setdefault(self.calendar.day_of(slot), Tally(self.calendar.slot_seconds))
            tally.add(judged, self._service_columns)
            self._stale.discard(slot)

    def _uncount(self, slot: int) -> None:
        judged = self._counted.pop(slot, None)
        if judged is not None:
            self._open[self.calendar.day_of(slot)].remove(judged, self._service_columns)

    def _add_days(self, judge: Judge, total: WindowCounts, span: range, first: date, end: date) -> None:
        for day in _days(first, end):
            start, stop = self.calendar.first_slot(day), self.calendar.first_slot(day + timedelta(days=1))
            slots = max(0, min(stop, span.stop) - max(start, span.start))
            tallies = [tally for tally in (self._closed.get(day), self._open.get(day)) if tally is not None]
            total.add_day(judge, self._service_columns, day.toordinal(), slots, *tallies)


def _days(first: date, end: date) -> Iterator[date]:
    return (first + timedelta(days=ahead) for ahead in range((end - first).days))
