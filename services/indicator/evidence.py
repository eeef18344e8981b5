"""The evidence in memory: slots in detail, closed days, and their counts (docs/method.md §2-3; docs/design.md §6)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date
from types import MappingProxyType

import numpy as np

from services.core.model import MeasurementColumns, Outcome, Reason, Target
from services.indicator.array_types import Codes, Ints
from services.indicator.calendar import Calendar
from services.indicator.cells import (
    DayState,
    EvidenceChanges,
    IngestResult,
    KeepArrays,
    LoadCells,
    MeasuredDay,
    SlotCells,
    SlotDetail,
    SlotState,
    TargetColumns,
    join_parts,
    outcomes,
    pack_day,
    reasons,
)
from services.indicator.register_arrays import RegisterArrays
from services.indicator.verdicts import DayEvidence, EvidenceCounter, Judge, WindowCounts, count_cells


class Evidence:
    """All ingested measurements: slots in detail, and closed days packed to the stages that were reached in them.

    Targets get columns in the order in which they first appear. The state that is kept does not depend on a register:
    every number is derived under the register given. A changed register therefore applies to all days alike, whenever
    they were closed.
    """

    def __init__(self, calendar: Calendar, *, keep: KeepArrays = tuple) -> None:
        """Start empty. ``keep`` stores the arrays derived from closed days; by default they stay in memory."""
        self.calendar = calendar
        self._keep = keep
        self._slots = SlotCells()
        self._packed: dict[date, DayState] = {}
        self._closed_before = calendar.epoch_slot
        self._unsaved_slots: set[int] = set()
        self._unsaved_days: set[date] = set()
        self._counter: EvidenceCounter | None = None

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
        """Return the evidence that was saved; its states may be of different ages (see ``EvidenceChanges``).

        Slots ``away`` stay where they are, and are loaded when they are needed.
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
        """The slot before which all days are closed; rows of earlier slots are late."""
        return self._closed_before

    @property
    def closed_days(self) -> frozenset[date]:
        """The closed days that are kept."""
        return frozenset(self._packed)

    @property
    def last_slot(self) -> int | None:
        """The latest slot kept in detail, or None."""
        return max(self._slots, default=None)

    @property
    def columns(self) -> TargetColumns:
        """The columns of targets, to be shared with other stores of the same measurements."""
        return self._slots.columns

    def take(self, columns: MeasurementColumns) -> IngestResult:
        """Ingest one batch. Repeating a batch, or changing the order of batches, changes nothing (§2, invariant 13)."""
        slot, offset = np.divmod(columns.slot_start, self.calendar.slot_seconds)
        misplaced = (offset != 0) | (slot < self.calendar.epoch_slot)
        late = ~misplaced & (slot < self._closed_before)
        rows = np.flatnonzero(~misplaced & ~late)
        changed = self._slots.merge(columns, rows, slot[rows])
        self._unsaved_slots |= changed.keys()
        if self._counter is not None:
            self._counter.changed(changed)
        return IngestResult(
            accepted=len(rows),
            late=int(late.sum()),
            misplaced=int(misplaced.sum()),
            changed=changed,
        )

    def window(self, arrays: RegisterArrays, days: int, end_slot: int) -> WindowCounts:
        """Count one window under one register version. Only what changed since the last call is judged again."""
        return self._counter_of(arrays).window(days, end_slot)

    def days(self, arrays: RegisterArrays, span: range) -> Iterator[DayEvidence]:
        """Yield the counts and causes (§6) of each day of a span of slots, in order.

        Whole closed days are counted once and kept; a part of one is counted at every call.
        """
        return self._counter_of(arrays).days(span)

    def verdicts(self, arrays: RegisterArrays, slots: range) -> Codes:
        """Return the verdicts (slots, links) of any slots that are kept, in register order; -1 = unknown.

        A link that is not in force or not live is unknown too. The call unpacks every closed day among the slots.
        """
        return self._counter_of(arrays).verdicts(slots)

    def verdict_pieces(self, arrays: RegisterArrays, slots: range) -> Iterator[tuple[range, Codes]]:
        """Yield consecutive pieces of these slots, each with its verdicts as in ``verdicts``."""
        return self._counter_of(arrays).verdict_pieces(slots)

    def vantage_counts(self, arrays: RegisterArrays, slot: int, vantages: Sequence[str]) -> Ints:
        """Count the measurements that each vantage owed in a slot kept in detail, and those that arrived.

        Returns (vantages, columns), with the columns of ``VantageCounter``.
        """
        judge, day = self._counter_of(arrays).judge, self.calendar.day_of(slot).toordinal()
        cells, rows = self._slots.read(slot), {vantage: row for row, vantage in enumerate(self._slots.vantages)}
        owed = {vantage: judge.owed(vantage, day) for vantage in vantages}
        return np.array(
            [
                count_cells(len(columns), cells[rows[vantage], columns] if vantage in rows else cells[:0].ravel())
                for vantage, columns in owed.items()
            ]
        )

    def prepare(self, arrays: RegisterArrays, end_slot: int | None = None) -> Iterator[date]:
        """Count the closed days, then the other slots up to ``end_slot``, in pieces, so that the caller can work in between.

        Yields the day being counted after every piece: a few milliseconds of a closed day, or one slot of another day.
        Changes made meanwhile are counted when they are needed.
        """
        for day in sorted(self._packed):
            if day in self._packed:  # it may have been dropped meanwhile
                for _ in self._counter_of(arrays).prepare(day):
                    yield day
                    if day not in self._packed:
                        break
        if end_slot is not None:
            for _ in self._counter_of(arrays).recount(end_slot):
                yield self.calendar.day_of(end_slot)

    def closing(self, before: int) -> Iterator[date]:
        """Close every day that is over before slot ``before``, in pieces; yield the day being closed after each.

        Later rows of a closed day are late. A day is closed after its last piece. Until then its rows must not change,
        so call this only for days that can admit no more rows.
        """
        for day in sorted({self.calendar.day_of(slot) for slot in self._slots if self._closed_before <= slot < before}):
            slots = self.calendar.slots_of(day)
            if slots.stop <= before:
                self._close((yield from pack_day(day, slots, self._slots)))

    def put(self, parts: Sequence[MeasuredDay]) -> None:
        """Close a day that was measured elsewhere, in parts of different targets or different vantages.

        No slot of that day, or of an earlier one, may be open. Targets without a column are left out.
        """
        self._close(DayState.pack(parts[0].day, join_parts(parts, self._slots)))

    def _close(self, state: DayState) -> None:
        self._packed[state.day] = state
        self._unsaved_days.add(state.day)
        self._closed_before = max(self._closed_before, self.calendar.slots_of(state.day).stop)
        if self._counter is not None:
            self._counter.packed(state.day)

    def reopen(self, slot: int) -> tuple[date, ...]:
        """Reopen the closed days from the day of ``slot`` on, empty, and return them: their rows count again."""
        first = self.calendar.day_of(slot)
        days = tuple(day for day in self._packed if day >= first)
        for day in days:
            self._forget(day)
        self._closed_before = max(self.calendar.epoch_slot, min(self._closed_before, self.calendar.first_slot(first)))
        return days

    def drop(self, *, detail_before: int, days_before: date) -> tuple[int, ...]:
        """Drop the detail of slots of closed days before ``detail_before``, and the closed days before ``days_before``.

        Returns the slots whose detail was dropped.
        """
        slots = tuple(sorted(slot for slot in self._slots if slot < min(detail_before, self._closed_before)))
        for slot in slots:
            del self._slots[slot]
            self._unsaved_slots.discard(slot)
        # The file of such a day was damaged, and the loss accepted: the index shows no more than a restart would find.
        unpacked = [slot for slot in slots if self.calendar.day_of(slot) not in self._packed]
        if unpacked and self._counter is not None:
            self._counter.lost(unpacked)
        for day in [day for day in self._packed if day < days_before]:
            self._forget(day)
        return slots

    def _forget(self, day: date) -> None:
        del self._packed[day]
        self._unsaved_days.discard(day)
        if self._counter is not None:
            self._counter.dropped(day)

    def drain(self) -> EvidenceChanges:
        """Return copies of everything that changed since the last call.

        A change is returned only once: a process that fails to save it must stop and restart from what is on disk.
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

    def release(self, load: Callable[[int], LoadCells], load_day: Callable[[date], DayState], *, room: int) -> None:
        """Release the memory of saved state: closed days, and all slots but the newest, which may take ``room`` bytes.

        ``load`` returns a function that reads a slot again, and ``load_day`` returns a day with the same content. State
        that changed since the last ``drain`` stays in memory.
        """
        self._slots.put_away({slot: load(slot) for slot in self._slots.oldest(room) if slot not in self._unsaved_slots})
        for day, state in self._packed.items():
            if isinstance(state.stages, bytes) and day not in self._unsaved_days:
                self._packed[day] = load_day(day)

    def detail(self, arrays: RegisterArrays, slots: range, targets: Ints | None = None) -> SlotDetail:
        """Return the evidence behind the slots of some targets, judged by ``arrays``.

        ``targets`` are positions in ``arrays.targets``, all by default. Every call reads each slot, so ask once for all
        targets and cut the result, rather than once per agency.
        """
        counter = self._counter_of(arrays)
        judge = counter.judge
        targets = np.arange(len(arrays.targets)) if targets is None else targets
        columns = judge.columns[targets]
        row = np.flatnonzero(targets < len(arrays.links))
        link = targets[row]
        verdicts = np.full((len(slots), len(targets)), Outcome.UNKNOWN, dtype=np.uint8)
        shape = (len(slots), len(targets), len(self._slots.vantages))
        outcome, reason = np.full(shape, Outcome.UNKNOWN, np.uint8), np.full(shape, Reason.NO_MEASUREMENT, np.uint8)
        for position, slot in enumerate(slots):
            if slot in self._slots:
                stages = counter.judged(slot)
                measured = columns < len(stages)
                verdicts[position, measured] = stages[columns[measured]] + Outcome.NOT_CONNECTED
                cells = self._slots.read(slot)[:, columns].T
                outcome[position], reason[position] = outcomes(cells), reasons(cells)
            required = judge.requirements(self.calendar.day_of(slot).toordinal())
            verdicts[position, row[~required.live[link]]] = Outcome.NOT_CONNECTED
            verdicts[position, row[~required.in_force[link]]] = 0
            if slot < self.calendar.epoch_slot:
                verdicts[position] = 0
        return SlotDetail(slots.start, tuple(self._slots.vantages), verdicts, outcome, reason)

    def _counter_of(self, arrays: RegisterArrays) -> EvidenceCounter:
        counter = self._counter
        if counter is None or counter.judge.arrays is not arrays:
            judge = Judge(arrays, self._slots.columns.of(arrays.targets))
            if counter is None or counter.judge.digest != judge.digest:
                counter = self._counter = EvidenceCounter(self.calendar, self._slots, self._packed, judge, self._keep)
            counter.judge = judge
        return counter
