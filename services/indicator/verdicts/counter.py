"""Evidence counted under one register, so that only what changed is judged anew (docs/method.md §2-4, §6)."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date, timedelta
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from services.indicator.calendar import Calendar
from services.indicator.cells import DayState, KeepArrays, SlotCells, stages
from services.indicator.verdicts.causes import CauseSums, cause_states, join_sums, pause_slots, sum_states
from services.indicator.verdicts.closed_day import DayCounter, run_to_end
from services.indicator.verdicts.counts import STAGES, DayCounts, WindowCounts
from services.indicator.verdicts.day_evidence import DayEvidence
from services.indicator.verdicts.judge import Judge
from services.indicator.verdicts.slot_verdicts import SlotVerdicts

__all__ = ["EvidenceCounter"]

# Causes of days not yet packed are summed in pieces of so many slots, so that a slot that changes costs one piece.
PIECE_SLOTS = 32


@dataclass(frozen=True, slots=True, eq=False)
class _Joined:
    """Pieces of a day: those before the last joined, and the ``whole`` of them."""

    pieces: Sequence[CauseSums]
    before: CauseSums
    whole: CauseSums


class EvidenceCounter:
    """What a register makes of slots in detail and of packed days; both stay the evidence's.

    All that is kept here can be made again from them, and is when a register that judges differently is asked for. Slots of
    days not yet packed are counted one by one as they come and change; packed days whole, once.
    """

    def __init__(
        self, calendar: Calendar, slots: SlotCells, packed: Mapping[date, DayState], judge: Judge, keep: KeepArrays
    ) -> None:
        self.judge = judge
        self._keep = keep
        self._calendar = calendar
        self._pause = pause_slots(calendar.slot_seconds)
        self._slots = slots
        self._packed = packed
        self._stale = {slot for slot in slots if calendar.day_of(slot) not in packed}
        self._counted: dict[int, SlotVerdicts] = {}
        self._open: dict[date, DayCounts] = {}
        self._pieces: dict[tuple[date, int], tuple[range, CauseSums]] = {}
        self._joins: dict[date, _Joined] = {}
        self._whole: dict[date, tuple[DayCounts, CauseSums]] = {}
        self._settled: dict[int, tuple[tuple[date, date], WindowCounts]] = {}

    def changed(self, slots: Iterable[int]) -> None:
        """Count these slots anew when they are asked for."""
        self._stale.update(slots)

    def packed(self, day: date) -> None:
        """Count this day as a whole from here on."""
        self._open.pop(day, None)
        self._joins.pop(day, None)
        for slot in self._calendar.slots_of(day):
            self._counted.pop(slot, None)
            self._stale.discard(slot)
            self._pieces.pop((day, slot // PIECE_SLOTS), None)

    def dropped(self, day: date) -> None:
        """Forget a day that is forgotten."""
        self._whole.pop(day, None)
        self._settled.clear()

    def judged(self, slot: int) -> NDArray[np.int8]:
        """Return the verdict per column of a slot in detail."""
        counted = None if slot in self._stale else self._counted.get(slot)
        if counted is not None:
            return counted.unpack().verdict
        return self.judge.verdict(stages(self._slots.read(slot)), self._slots.vantages)

    def window(self, days: int, end_slot: int) -> WindowCounts:
        """Count one window."""
        arrays, calendar = self.judge.arrays, self._calendar
        self._recount(end_slot)
        span = calendar.window(days, end_slot)
        if not span:
            return WindowCounts.zero(arrays).whole()
        first, last = calendar.day_of(span.start), calendar.day_of(span.stop - 1)
        # Days before this one are packed and whole in the window: their sum stays, so it is kept.
        fresh = max(first, min(max(self._packed, default=date.min) + timedelta(days=1), calendar.day_of(span.stop)))
        key, total = self._settled.get(days, (None, None))
        if key != (first, fresh) or total is None:
            total = WindowCounts.zero(arrays)
            self._add_days(total, span, first, fresh)
            self._settled[days] = ((first, fresh), total)
        total = total.whole()
        self._add_days(total, span, fresh, last + timedelta(days=1))
        return total

    def days(self, span: range) -> Iterator[DayEvidence]:
        """Yield what each day of a span of slots holds, in their order."""
        self._recount(span.stop)
        links = len(self.judge.links)
        for day, slots in self._calendar.days(span):
            tally = self._tally(day, slots)
            counts = np.zeros((STAGES, links), np.uint16) if tally is None else tally.counts[:, :links]
            yield DayEvidence(
                day=day.toordinal(),
                slots=len(slots),
                tally=counts if day in self._packed else counts.copy(),  # what is open goes on being counted
                live=self.judge.requirements(day.toordinal()).live,
                causes=self._causes(day, slots),
            )

    def verdicts(self, span: range) -> NDArray[np.int8]:
        """Return the verdicts (slots, links) of live links, -1 where unknown."""
        links = len(self.judge.links)
        found = np.full((len(span), links), -1, dtype=np.int8)
        for day, slots in self._calendar.days(span):
            found[slots.start - span.start : slots.stop - span.start] = self._verdicts(day, slots)[:links].T
        return found

    def prepare(self, day: date) -> Iterator[None]:
        """Count a packed day, so that it need not be when it is asked for, pausing every few milliseconds."""
        if day not in self._whole:
            tally, causes = yield from self._count(day, self._calendar.slots_of(day))
            # Meanwhile the day may have been dropped.
            if day in self._packed:
                tally.counts, tally.up, tally.down = self._keep((tally.counts, tally.up, tally.down))
                self._whole[day] = tally, self._keep_causes(causes)

    def _recount(self, end_slot: int) -> None:
        for _ in self.recount(end_slot):
            pass

    def recount(self, end_slot: int) -> Iterator[None]:
        """Count the slots of days not closed up to ``end_slot``, those that changed, one by one."""
        for slot in [slot for slot in self._counted if slot >= end_slot]:
            self._uncount(slot)
            self._stale.add(slot)
        for slot in sorted(slot for slot in self._stale if slot < end_slot):
            self._uncount(slot)
            day = self._calendar.day_of(slot)
            judged = self.judge.judge(stages(self._slots.read(slot)), self._slots.vantages, day.toordinal())
            self._counted[slot] = SlotVerdicts.pack(judged)
            if day not in self._open:
                self._open[day] = DayCounts(self.judge.arrays, self._calendar.slot_seconds)
            self._open[day].add(self.judge, judged)
            self._stale.discard(slot)
            yield

    def _uncount(self, slot: int) -> None:
        day = self._calendar.day_of(slot)
        self._pieces.pop((day, slot // PIECE_SLOTS), None)
        counted = self._counted.pop(slot, None)
        if counted is not None:
            self._open[day].remove(self.judge, counted.unpack())

    def _add_days(self, total: WindowCounts, span: range, first: date, end: date) -> None:
        start, stop = self._calendar.first_slot(first), self._calendar.first_slot(end)
        for day, slots in self._calendar.days(range(max(start, span.start), min(stop, span.stop))):
            total.add_day(self.judge, day.toordinal(), len(slots), self._tally(day, slots))

    def _tally(self, day: date, slots: range) -> DayCounts | None:
        """Return the counts of some of a day's slots; what is open is counted up to the last of them."""
        if day in self._packed and slots == self._calendar.slots_of(day):
            return self._packed_day(day)[0]
        if day not in self._packed and slots.start <= max(self._calendar.first_slot(day), self._calendar.epoch_slot):
            return self._open.get(day)
        return self._counted_now(day, slots)[0]

    def _causes(self, day: date, slots: range) -> CauseSums:
        if day not in self._packed:
            starts = range(slots.start // PIECE_SLOTS, -(-slots.stop // PIECE_SLOTS))
            return self._joined(day, [self._piece(day, piece, slots) for piece in starts])
        if slots == self._calendar.slots_of(day):
            return self._packed_day(day)[1]
        return self._counted_now(day, slots)[1]

    def _joined(self, day: date, pieces: Sequence[CauseSums]) -> CauseSums:
        """Join the pieces of a day; those of a day that has not changed are the same object as the last time."""
        kept = self._joins.get(day)
        if kept is not None and _same(kept.pieces, pieces):
            return kept.whole
        *earlier, last = pieces
        if not earlier:
            return last
        # Most often it is the last piece that has changed.
        before = kept.before if kept is not None and _same(kept.pieces[:-1], earlier) else reduce(self._join, earlier)
        self._joins[day] = _Joined(pieces, before, self._join(before, last))
        return self._joins[day].whole

    def _piece(self, day: date, piece: int, within: range) -> CauseSums:
        slots = range(max(piece * PIECE_SLOTS, within.start), min((piece + 1) * PIECE_SLOTS, within.stop))
        there, rows = self._pieces.get((day, piece), (None, None))
        if there != slots or rows is None:
            rows = self._causes_of(self._verdicts(day, slots))
            if len(slots) == PIECE_SLOTS:
                rows = self._keep_causes(rows)
            self._pieces[day, piece] = (slots, rows)
        return rows

    def _packed_day(self, day: date) -> tuple[DayCounts, CauseSums]:
        for _ in self.prepare(day):
            pass
        return self._whole[day]

    def _keep_causes(self, causes: CauseSums) -> CauseSums:
        return CauseSums(*self._keep([getattr(causes, field.name) for field in fields(causes)]))

    def _counted_now(self, day: date, slots: range) -> tuple[DayCounts, CauseSums]:
        return run_to_end(self._count(day, slots))

    def _count(self, day: date, slots: range) -> Generator[None, None, tuple[DayCounts, CauseSums]]:
        """Count some of a day's slots together."""
        counted = DayCounter(self.judge, day.toordinal(), len(slots), self._calendar.slot_seconds)
        for targets, verdicts in self._judged(day, slots):
            counted.add(targets, verdicts)
            yield
        return (yield from counted.finish())

    def _judged(self, day: date, slots: range) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int8]]]:
        """Yield the verdicts (k, slots) of one day's slots on some of the targets (k,) at a time."""
        judge, vantages = self.judge, tuple(self._slots.vantages)
        if day in self._packed:
            begin = slots.start - self._calendar.first_slot(day)
            for first, reached in self._packed[day].pieces():
                yield judge.verdicts(reached[:, :, begin : begin + len(slots)], vantages, first, day.toordinal())
            return
        of_columns = np.full((1, len(self._slots.targets), len(slots)), -1, dtype=np.int8)
        for at, slot in enumerate(slots):
            if slot in self._slots:
                judged = self.judged(slot)
                of_columns[0, : len(judged), at] = judged
        yield judge.verdicts(of_columns, (), 0, day.toordinal())

    def _verdicts(self, day: date, slots: range) -> NDArray[np.int8]:
        """Return the verdicts (targets, slots) of one day's slots, in register order, -1 for a link that is not live."""
        found = np.full((len(self.judge.columns), len(slots)), -1, dtype=np.int8)
        for targets, verdicts in self._judged(day, slots):
            found[targets] = verdicts
        return found

    def _causes_of(self, verdicts: NDArray[np.int8]) -> CauseSums:
        arrays, links = self.judge.arrays, len(self.judge.links)
        bus = None if arrays.bus is None else verdicts[links + arrays.bus]
        return sum_states(cause_states(arrays, np.ascontiguousarray(verdicts[:links].T), bus), self._pause)

    def _join(self, earlier: CauseSums, later: CauseSums) -> CauseSums:
        return join_sums(earlier, later, self._pause)


def _same(some: Sequence[CauseSums], others: Sequence[CauseSums]) -> bool:
    return len(some) == len(others) and all(one is other for one, other in zip(some, others, strict=True))
