"""The evidence of slots in detail and closed days, in memory (docs/method.md §2-3; docs/design.md §6)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from services.core.model import MeasurementColumns, Outcome, Reason, Target
from services.indicator.calendar import Calendar
from services.indicator.cells import (
    DayState,
    EvidenceChanges,
    IngestResult,
    KeepArrays,
    LoadCells,
    SlotCells,
    SlotDetail,
    SlotState,
    TargetColumns,
    outcomes,
    reasons,
    stages,
)
from services.indicator.register_arrays import RegisterArrays
from services.indicator.verdicts import DayEvidence, EvidenceCounter, Judge, WindowCounts

__all__ = ["Evidence"]


CLOSED_TARGETS = 1 << 16
"""Targets of a day that are packed at a time: each slot is looked at once for so many."""


class Evidence:
    """All measurements taken in: slots in detail, and closed days packed to the stages that were reached in them.

    Columns belong to targets in the order they were first heard of, whether a register knows them or not: a register
    that arrives after the measurements finds them. Nothing kept depends on a register. Every number is derived under the
    register asked for, so a changed register applies to all days alike, and nothing depends on when a day was closed.
    """

    def __init__(self, calendar: Calendar, *, keep: KeepArrays = tuple) -> None:
        """Begin with nothing. ``keep`` says where what is derived of closed days lies: in memory unless told otherwise."""
        self.calendar = calendar
        self._keep = keep
        self._slots = SlotCells()
        self._packed: dict[date, DayState] = {}
        self._closed_before = calendar.epoch_slot
        self._unsaved_slots: set[int] = set()
        self._unsaved_days: set[date] = set()
        self._counting: EvidenceCounter | None = None

    @classmethod
    def restore(
        cls,
        calendar: Calendar,
        *,
        targets: Sequence[Target],
        vantages: Sequence[str],
        slots: Iterable[SlotState],
        days: Iterable[DayState],
        away: Mapping[int, LoadCells] = MappingProxyType({}),
        keep: KeepArrays = tuple,
    ) -> Evidence:
        """Return the evidence that was saved, in whatever mixture of ages the states are (see ``EvidenceChanges``).

        Slots ``away`` are left where they are, to be loaded when they are looked at.
        """
        evidence = cls(calendar, keep=keep)
        evidence._slots = SlotCells(targets, vantages)
        for day in days:
            evidence._packed[day.day] = day
            evidence._closed_before = max(evidence._closed_before, calendar.slots_of(day.day).stop)
        for slot in slots:
            evidence._slots[slot.slot] = slot.cells
        evidence._slots.put_away(away)
        return evidence

    @property
    def closed_before(self) -> int:
        """Slots before this one are of closed days: rows that name them are late."""
        return self._closed_before

    @property
    def last_slot(self) -> int | None:
        """The latest slot kept in detail, or None."""
        return max(self._slots, default=None)

    @property
    def columns(self) -> TargetColumns:
        """The columns of targets, for whoever keeps something else of the same measurements."""
        return self._slots.columns

    @property
    def vantages(self) -> tuple[str, ...]:
        """The vantages heard of, in the order of the cells' rows."""
        return tuple(self._slots.vantages)

    def take(self, columns: MeasurementColumns) -> IngestResult:
        """Take in one batch. Taking it in again, or in another order, changes nothing (§2, invariant 13)."""
        slot, offset = np.divmod(columns.slot_start, self.calendar.slot_seconds)
        misplaced = (offset != 0) | (slot < self.calendar.epoch_slot)
        late = ~misplaced & (slot < self._closed_before)
        rows = np.flatnonzero(~misplaced & ~late)
        changed = self._slots.merge(columns, rows, slot[rows])
        self._unsaved_slots |= changed.keys()
        if self._counting is not None:
            self._counting.changed(changed)
        return IngestResult(
            accepted=len(rows),
            late=int(late.sum()),
            misplaced=int(misplaced.sum()),
            changed=changed,
        )

    def window(self, arrays: RegisterArrays, days: int, end_slot: int) -> WindowCounts:
        """Count one window under one register version. Only what changed since the last call is judged anew."""
        return self._count(arrays).window(days, end_slot)

    def days(self, arrays: RegisterArrays, span: range) -> Iterator[DayEvidence]:
        """Yield what each day of a span of slots holds, in their order: counts and causes (§6).

        Whole closed days are counted once and kept; a part of one is counted at every call.
        """
        return self._count(arrays).days(span)

    def verdicts(self, arrays: RegisterArrays, slots: range) -> NDArray[np.int8]:
        """Return the verdicts (slots, links) of any slots that are kept, in register order; -1 = unknown.

        A link that is not in force or not live is unknown too. Every closed day among them has to be unpacked.
        """
        return self._count(arrays).verdicts(slots)

    def prepare(self, arrays: RegisterArrays, end_slot: int | None = None) -> Iterator[date]:
        """Count the closed days, then other slots up to ``end_slot``, so that the caller can do other things in between.

        Yields the day that is being counted, every time a piece of it is: of a closed day in a few milliseconds, of others
        a slot. What changes meanwhile is counted when it is asked for.
        """
        for day in sorted(self._packed):
            if day in self._packed:  # it may have been dropped meanwhile
                for _ in self._count(arrays).prepare(day):
                    yield day
                    if day not in self._packed:
                        break
        if end_slot is not None:
            for _ in self._count(arrays).recount(end_slot):
                yield self.calendar.day_of(end_slot)

    def close(self, before: int) -> None:
        """Close every day that is over before slot ``before``; later rows for it are late."""
        for _ in self.closing(before):
            pass

    def closing(self, before: int) -> Iterator[date]:
        """Close days in pieces, some targets at a time; yields the day being closed. It closes after its last piece.

        Until then its rows must not change any more: whoever closes a day knows that nothing can be admitted to it.
        """
        for day in sorted({self.calendar.day_of(slot) for slot in self._slots if self._closed_before <= slot < before}):
            slots = self.calendar.slots_of(day)
            if slots.stop <= before:
                vantages, targets = len(self._slots.vantages), len(self._slots.targets)
                parts = []
                for first in range(0, targets, CLOSED_TARGETS):
                    some = slice(first, min(first + CLOSED_TARGETS, targets))
                    reached = np.full((vantages, some.stop - first, len(slots)), -1, dtype=np.int8)
                    for at, slot in enumerate(slots):
                        if slot in self._slots:
                            reached[:, :, at] = stages(self._slots.read(slot)[:vantages, some])
                            yield day
                    parts.append(DayState.pack(day, reached))
                    yield day
                self._packed[day] = DayState.joined(day, (vantages, targets, len(slots)), parts)
                self._unsaved_days.add(day)
                self._closed_before = slots.stop
                if self._counting is not None:
                    self._counting.packed(day)

    def drop(self, *, detail_before: int, days_before: date) -> tuple[tuple[int, ...], tuple[date, ...]]:
        """Forget the detail of slots of closed days before ``detail_before``, and the closed days before ``days_before``.

        Returns the slots and the days forgotten, so that their files can go too.
        """
        slots = tuple(sorted(slot for slot in self._slots if slot < min(detail_before, self._closed_before)))
        days = tuple(sorted(day for day in self._packed if day < days_before))
        for slot in slots:
            del self._slots[slot]
            self._unsaved_slots.discard(slot)
        for day in days:
            del self._packed[day]
            self._unsaved_days.discard(day)
            if self._counting is not None:
                self._counting.dropped(day)
        return slots, days

    def drain(self) -> EvidenceChanges:
        """Return copies of all that changed since the last call.

        It is not offered again: a process that failed to save it must end and start from what is on disk.
        """
        changes = EvidenceChanges(
            targets=tuple(self._slots.targets),
            vantages=tuple(self._slots.vantages),
            slots=tuple(SlotState(slot, self._slots[slot].copy()) for slot in sorted(self._unsaved_slots)),
            days=tuple(self._packed[day] for day in sorted(self._unsaved_days)),
        )
        self._unsaved_slots.clear()
        self._unsaved_days.clear()
        return changes

    def let_go(self, load: Callable[[int], LoadCells], load_day: Callable[[date], DayState], *, room: int) -> None:
        """Let go of what is saved: of slots all but the newest, which take up to ``room`` bytes, and of closed days.

        ``load`` says how to read a slot again, ``load_day`` returns a day that holds the same. What changed since the last
        ``drain`` stays.
        """
        self._slots.put_away({slot: load(slot) for slot in self._slots.oldest(room) if slot not in self._unsaved_slots})
        for day, state in self._packed.items():
            if isinstance(state.stages, bytes) and day not in self._unsaved_days:
                self._packed[day] = load_day(day)

    def detail(self, arrays: RegisterArrays, slots: range, targets: Sequence[Target]) -> SlotDetail:
        """Return the evidence behind some targets' slots, judged by ``arrays``.

        Every call costs a look at each slot: ask once for ``arrays.targets`` and cut, rather than once per agency.
        """
        counting = self._count(arrays)
        judge = counting.judge
        columns = self._slots.columns.of(targets)
        row, link = judge.links_among(targets)
        verdicts = np.full((len(slots), len(targets)), Outcome.UNKNOWN, dtype=np.uint8)
        shape = (len(slots), len(targets), len(self._slots.vantages))
        outcome, reason = np.full(shape, Outcome.UNKNOWN, np.uint8), np.full(shape, Reason.NO_MEASUREMENT, np.uint8)
        for at, slot in enumerate(slots):
            if slot in self._slots:
                reached = counting.judged(slot)
                heard = columns < len(reached)
                verdicts[at, heard] = reached[columns[heard]] + Outcome.NOT_CONNECTED
                cells = self._slots.read(slot)[:, columns].T
                outcome[at], reason[at] = outcomes(cells), reasons(cells)
            force = judge.force(self.calendar.day_of(slot).toordinal())
            verdicts[at, row[~force.live[link]]] = Outcome.NOT_CONNECTED
            verdicts[at, row[~force.in_force[link]]] = 0
            if slot < self.calendar.epoch_slot:
                verdicts[at] = 0
        return SlotDetail(slots.start, self.vantages, verdicts, outcome, reason)

    def _count(self, arrays: RegisterArrays) -> EvidenceCounter:
        counting = self._counting
        if counting is None or counting.judge.arrays is not arrays:
            judge = Judge(arrays, self._slots.columns.of(arrays.targets))
            if counting is None or counting.judge.judging != judge.judging:
                counting = self._counting = EvidenceCounter(self.calendar, self._slots, self._packed, judge, self._keep)
            counting.judge = judge
        return counting
