"""Counts the evidence under one register, and judges again only what changed (docs/method.md §2-4, §6)."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date, timedelta
from functools import reduce
from typing import Final

import numpy as np

from services.indicator.array_types import Codes, Ints
from services.indicator.calendar import Calendar
from services.indicator.cells import DayState, KeepArrays, SlotCells, stages
from services.indicator.verdicts.causes import CauseSums, cause_states, join_sums, pause_slots, sum_states
from services.indicator.verdicts.closed_day import DayCounter, run_to_end
from services.indicator.verdicts.counts import STAGES, DayCounts, WindowCounts
from services.indicator.verdicts.day_evidence import DayEvidence
from services.indicator.verdicts.judge import Judge, PackedSlot

PIECE_SLOTS: Final = 32
"""Slots of an open day that are counted together. Their causes are kept, so that a changed slot costs one piece."""


@dataclass(frozen=True, slots=True, eq=False)
class _JoinedPieces:
    """The pieces of a day, the sum of all but the last, and the sum of all."""

    pieces: Sequence[CauseSums]
    earlier: CauseSums
    whole: CauseSums


class EvidenceCounter:
    """Counts slots in detail and packed days, which the evidence owns, under one register.

    Everything kept here is a cache, rebuilt for a register with other verdicts. Slots of open days are counted one by one
    as they arrive and change; packed days are counted once, as a whole.
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
        self._counted: dict[int, PackedSlot] = {}
        self._open_days: dict[date, DayCounts] = {}
        self._pieces: dict[tuple[date, int], tuple[range, CauseSums]] = {}
        self._joined: dict[date, _JoinedPieces] = {}
        self._packed_days: dict[date, tuple[DayCounts, CauseSums]] = {}
        self._settled: dict[int, tuple[tuple[date, date], WindowCounts]] = {}

    def changed(self, slots: Iterable[int]) -> None:
        """Count these slots again when they are needed."""
        self._stale.update(slots)

    def packed(self, day: date) -> None:
        """Count this day as a whole from now on."""
        self._open_days.pop(day, None)
        self._joined.pop(day, None)
        for slot in self._calendar.slots_of(day):
            self._counted.pop(slot, None)
            self._stale.discard(slot)
            self._pieces.pop((day, slot // PIECE_SLOTS), None)

    def dropped(self, day: date) -> None:
        """Forget a day that the evidence dropped."""
        self._packed_days.pop(day, None)
        self._settled.clear()

    def lost(self, slots: Iterable[int]) -> None:
        """Stop counting slots that the evidence dropped, and that no packed day holds."""
        self.changed(slots)
        self._settled.clear()

    def judged(self, slot: int) -> Codes:
        """Return the verdict per column of a slot in detail."""
        counted = None if slot in self._stale else self._counted.get(slot)
        if counted is not None:
            return counted.unpack().verdict
        return self.judge.verdict(stages(self._slots.read(slot)), self._slots.vantages)

    def window(self, days: int, end_slot: int) -> WindowCounts:
        """Count one window."""
        arrays, calendar = self.judge.arrays, self._calendar
        run_to_end(self.recount(end_slot))
        span = calendar.window(days, end_slot)
        if not span:
            return WindowCounts.zero(arrays).copy()
        first, last = calendar.day_of(span.start), calendar.day_of(span.stop - 1)
        # Days before this one are packed and whole in the window: their sum does not change, so it is kept.
        fresh = max(first, min(max(self._packed, default=date.min) + timedelta(days=1), calendar.day_of(span.stop)))
        key, total = self._settled.get(days, (None, None))
        if key != (first, fresh) or total is None:
            total = WindowCounts.zero(arrays)
            self._add_days(total, span, first, fresh)
            self._settled[days] = ((first, fresh), total)
        total = total.copy()
        self._add_days(total, span, fresh, last + timedelta(days=1))
        return total

    def days(self, span: range) -> Iterator[DayEvidence]:
        """Yield the counts and causes of each day of a span of slots, in order."""
        run_to_end(self.recount(span.stop))
        links = len(self.judge.links)
        for day, slots in self._calendar.days(span):
            tally = self._day_counts(day, slots)
            counts = np.zeros((STAGES, links), np.uint16) if tally is None else tally.counts[:, :links]
            yield DayEvidence(
                day=day.toordinal(),
                slots=len(slots),
                tally=counts if day in self._packed else counts.copy(),  # an open day is still being counted
                live=self.judge.requirements(day.toordinal()).live,
                causes=self._causes(day, slots),
            )

    def verdicts(self, span: range) -> Codes:
        """Return the verdicts (slots, links) of live links, -1 where unknown."""
        verdicts = np.empty((len(span), len(self.judge.links)), dtype=np.int8)
        for piece, reached in self.verdict_pieces(span):
            verdicts[piece.start - span.start : piece.stop - span.start] = reached
        return verdicts

    def verdict_pieces(self, span: range) -> Iterator[tuple[range, Codes]]:
        """Yield a span of slots in consecutive pieces, each with its verdicts as in ``verdicts``."""
        links = len(self.judge.links)
        for day, slots in self._calendar.days(span):
            # A closed day is unpacked whole, for any of its slots.
            step = len(slots) if day in self._packed else PIECE_SLOTS
            for piece in (slots[first : first + step] for first in range(0, len(slots), step)):
                verdicts = np.full((len(piece), links), -1, dtype=np.int8)
                for targets, reached in self._judged(day, piece):
                    of_links = targets < links
                    verdicts[:, targets[of_links]] = reached[of_links].T
                yield piece, verdicts

    def prepare(self, day: date) -> Generator[None, None, None]:
        """Count a packed day before it is needed, pausing every few milliseconds."""
        if day not in self._packed_days:
            tally, causes = yield from self._count(day, self._calendar.slots_of(day))
            # The day may have been dropped meanwhile.
            if day in self._packed:
                tally.counts, tally.up, tally.down = self._keep((tally.counts, tally.up, tally.down))
                self._packed_days[day] = tally, self._keep_causes(causes)

    def recount(self, end_slot: int) -> Generator[None, None, None]:
        """Count the changed slots of open days up to ``end_slot``, one by one."""
        for slot in [slot for slot in self._counted if slot >= end_slot]:
            self._uncount(slot)
            self._stale.add(slot)
        for slot in sorted(slot for slot in self._stale if slot < end_slot):
            self._uncount(slot)
            day = self._calendar.day_of(slot)
            judged = self.judge.judge(stages(self._slots.read(slot)), self._slots.vantages, day.toordinal())
            self._counted[slot] = judged.pack()
            if day not in self._open_days:
                self._open_days[day] = DayCounts(self.judge.arrays, self._calendar.slot_seconds)
            self._open_days[day].add(self.judge, judged)
            self._stale.discard(slot)
            yield

    def _uncount(self, slot: int) -> None:
        day = self._calendar.day_of(slot)
        self._pieces.pop((day, slot // PIECE_SLOTS), None)
        counted = self._counted.pop(slot, None)
        if counted is not None:
            self._open_days[day].remove(self.judge, counted.unpack())

    def _add_days(self, total: WindowCounts, span: range, first: date, end: date) -> None:
        start, stop = self._calendar.first_slot(first), self._calendar.first_slot(end)
        for day, slots in self._calendar.days(range(max(start, span.start), min(stop, span.stop))):
            total.add_day(self.judge, day.toordinal(), len(slots), self._day_counts(day, slots))

    def _day_counts(self, day: date, slots: range) -> DayCounts | None:
        """Return the counts of some of a day's slots; those of an open day are already counted up to the last one."""
        if day in self._packed and slots == self._calendar.slots_of(day):
            return self._packed_day(day)[0]
        if day not in self._packed and slots.start <= max(self._calendar.first_slot(day), self._calendar.epoch_slot):
            return self._open_days.get(day)
        return run_to_end(self._count(day, slots))[0]

    def _causes(self, day: date, slots: range) -> CauseSums:
        if day not in self._packed:
            pieces = range(slots.start // PIECE_SLOTS, -(-slots.stop // PIECE_SLOTS))
            return self._join_pieces(day, [self._piece(day, piece, slots) for piece in pieces])
        if slots == self._calendar.slots_of(day):
            return self._packed_day(day)[1]
        return run_to_end(self._count(day, slots))[1]

    def _join_pieces(self, day: date, pieces: Sequence[CauseSums]) -> CauseSums:
        """Join the pieces of a day; for a day that has not changed, the result is the same object as before."""
        kept = self._joined.get(day)
        if kept is not None and _same(kept.pieces, pieces):
            return kept.whole
        *earlier, last = pieces
        if not earlier:
            return last
        # Usually only the last piece has changed.
        if kept is not None and _same(kept.pieces[:-1], earlier):
            joined = kept.earlier
        else:
            joined = reduce(lambda total, piece: join_sums(total, piece, self._pause), earlier)
        self._joined[day] = _JoinedPieces(pieces, joined, join_sums(joined, last, self._pause))
        return self._joined[day].whole

    def _piece(self, day: date, piece: int, within: range) -> CauseSums:
        slots = range(max(piece * PIECE_SLOTS, within.start), min((piece + 1) * PIECE_SLOTS, within.stop))
        kept_slots, sums = self._pieces.get((day, piece), (None, None))
        if kept_slots != slots or sums is None:
            sums = self._sum_causes(day, slots)
            if len(slots) == PIECE_SLOTS:
                sums = self._keep_causes(sums)
            self._pieces[day, piece] = (slots, sums)
        return sums

    def _packed_day(self, day: date) -> tuple[DayCounts, CauseSums]:
        run_to_end(self.prepare(day))
        return self._packed_days[day]

    def _keep_causes(self, causes: CauseSums) -> CauseSums:
        return CauseSums(*self._keep([getattr(causes, field.name) for field in fields(causes)]))

    def _count(self, day: date, slots: range) -> Generator[None, None, tuple[DayCounts, CauseSums]]:
        """Count some of a day's slots together."""
        counter = DayCounter(self.judge, day.toordinal(), len(slots), self._calendar.slot_seconds)
        for targets, verdicts in self._judged(day, slots):
            counter.add(targets, verdicts)
            yield
        return (yield from counter.finish())

    def _judged(self, day: date, slots: range) -> Iterator[tuple[Ints, Codes]]:
        """Yield some of the targets (k,) at a time, and their verdicts (k, slots) in one day's slots."""
        judge, vantages = self.judge, tuple(self._slots.vantages)
        if day in self._packed:
            begin = slots.start - self._calendar.first_slot(day)
            for first, reached in self._packed[day].pieces():
                yield judge.verdicts(reached[:, :, begin : begin + len(slots)], vantages, first, day.toordinal())
            return
        by_column = np.full((1, len(self._slots.targets), len(slots)), -1, dtype=np.int8)
        for position, slot in enumerate(slots):
            if slot in self._slots:
                judged = self.judged(slot)
                by_column[0, : len(judged), position] = judged
        yield judge.verdicts(by_column, (), 0, day.toordinal())

    def _sum_causes(self, day: date, slots: range) -> CauseSums:
        arrays, links = self.judge.arrays, len(self.judge.links)
        by_target = np.full((len(self.judge.columns), len(slots)), -1, dtype=np.int8)
        for targets, verdicts in self._judged(day, slots):
            by_target[targets] = verdicts
        bus = None if arrays.bus is None else by_target[links + arrays.bus]
        return sum_states(cause_states(arrays, np.ascontiguousarray(by_target[:links].T), bus), self._pause)


def _same(some: Sequence[CauseSums], others: Sequence[CauseSums]) -> bool:
    return len(some) == len(others) and all(left is right for left, right in zip(some, others, strict=True))
