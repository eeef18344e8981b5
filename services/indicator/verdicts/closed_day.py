"""One closed day counted as a whole, with a bit per slot (docs/method.md §3-4, §6).

With a bit per target and slot, 64 to a word, the counts and the causes of a day of a million links take about a second.
Failures are charged to causes by the rule of ``causes``.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from typing import Final, TypeVar

import numpy as np

from services.core.model import Stage
from services.indicator.array_types import Codes, Ints
from services.indicator.register_arrays import RegisterArrays
from services.indicator.scipy_parts import sparse_rows
from services.indicator.verdicts.bits import Bits, count_bits, pack_bits, stage_bits, unpack_bits, words
from services.indicator.verdicts.causes import CauseSums, pause_slots
from services.indicator.verdicts.counts import DayCounts
from services.indicator.verdicts.judge import Judge

CELLS: Final = 1 << 20
"""Slots of targets that are unpacked at a time, so that they fit the processor's cache."""

PIECE_CELLS: Final = 4 * CELLS
"""Slots of links that are processed between two pauses."""

_BEFORE: Final = pack_bits(np.tri(64, k=-1, dtype=np.bool_))[:, 0]
"""For each slot of a word, the bits of the slots before it."""

T = TypeVar("T")


class DayCounter:
    """Counts ``slots`` slots of the day with this ordinal; targets that are not added are unknown."""

    def __init__(self, judge: Judge, day: int, slots: int, slot_seconds: int) -> None:
        arrays = judge.arrays
        self._judge = judge
        self._day = day
        self._slots, self._pause = slots, pause_slots(slot_seconds)
        self._counts = DayCounts(arrays, slot_seconds)
        # Where the bus has no endpoint, the last row stands for it, which stays unknown.
        self._bus = -1 if arrays.bus is None else len(arrays.links) + arrays.bus
        shape = (len(arrays.targets) + 1, words(slots))
        self._known, self._failed = np.zeros(shape, dtype=np.uint64), np.zeros(shape, dtype=np.uint64)

    def add(self, targets: Ints, verdicts: Codes) -> None:
        """Add ``targets`` of the register (k,) with their ``verdicts`` (k, slots), as ``Judge.verdicts`` returns them."""
        stages = stage_bits(verdicts)
        for counts, bits in zip(self._counts.counts, stages, strict=True):
            counts[targets] = count_bits(bits, counts.dtype)
        failed = np.bitwise_or.reduce(stages[: Stage.OK])
        self._known[targets], self._failed[targets] = failed | stages[Stage.OK], failed

    def finish(self) -> Generator[None, None, tuple[DayCounts, CauseSums]]:
        """Return the counts and the causes once every target is added, pausing between pieces."""
        counts = yield from self.count()
        bus = self._known[[self._bus]], self._failed[[self._bus]]
        arrays, order = self._judge.arrays, self._judge.by_provider
        causes = yield from charge_day(arrays, order, self._known, self._failed, bus, self._slots, self._pause)
        return counts, causes

    def count(self) -> Generator[None, None, DayCounts]:
        """Return the counts alone, with the slots in which each service was up and down (§4): its worst live link decides."""
        judge, every = self._judge, pack_bits(np.ones((1, self._slots), dtype=np.bool_))
        live = judge.by_service[judge.requirements(self._day).live[judge.by_service]]
        services, begin = np.unique(judge.arrays.service[live], return_index=True)
        for chosen, rows in _pieces(begin, len(live), self._slots):
            start = begin[chosen] - rows.start
            down = np.bitwise_or.reduceat(self._failed[live[rows]], start, axis=0)
            # A failure is worse than not knowing.
            not_up = np.bitwise_or.reduceat(self._failed[live[rows]] | ~self._known[live[rows]], start, axis=0)
            self._counts.down[services[chosen]] = count_bits(down, self._counts.down.dtype)
            self._counts.up[services[chosen]] = count_bits(every & ~not_up, self._counts.up.dtype)
            yield
        return self._counts


def count_day(judge: Judge, day: int, stages: Codes, vantages: Sequence[str], slot_seconds: int) -> DayCounts:
    """Count slots of the day with this ordinal, without causes. ``stages`` (vantages, columns, slots) may be overwritten."""
    _, columns, slots = stages.shape
    counter = DayCounter(judge, day, slots, slot_seconds)
    step = _step(slots)
    for first in range(0, columns, step):
        counter.add(*judge.verdicts(stages[:, first : first + step], vantages, first, day))
    return run_to_end(counter.count())


def run_to_end(work: Generator[None, None, T]) -> T:
    """Run work to its end without its pauses, and return its result."""
    while True:
        try:
            next(work)
        except StopIteration as stop:
            result: T = stop.value
            return result


def charge_day(
    arrays: RegisterArrays, by_provider: Ints, known: Bits, failed: Bits, bus: tuple[Bits, Bits], slots: int, pause: int
) -> Generator[None, None, CauseSums]:
    """Return the sums of the causes of a day, in the order of ``cause_states``, pausing after every piece.

    The first n rows of ``known`` and ``failed`` (…, w) are the slots in which each live link was known and in which it
    failed; ``bus`` (1, w) are the same two of the bus. ``by_provider`` (n,) are the positions of the links sorted by
    provider; ``pause`` is that of ``pause_slots``.
    """
    agencies = len(arrays.agencies)
    sums = CauseSums.empty(1 + agencies + len(arrays.links), slots)
    bus_known, bus_failed = bus
    _enter(sums, np.zeros(1, dtype=np.int64), bus_known, bus_failed, slots, pause)
    present, begin = np.unique(arrays.provider[by_provider], return_index=True)
    for chosen, rows in _pieces(begin, len(by_provider), slots):
        links, providers, start = by_provider[rows], present[chosen], begin[chosen] - rows.start
        links_known, links_failed = known.take(links, axis=0), failed.take(links, axis=0)
        provider_known = np.bitwise_or.reduceat(links_known, start, axis=0)
        provider_failed = _outvoted(links_known, links_failed, start, slots)
        # A failure while the bus is down is unknown to every other cause.
        links_known &= ~(links_failed & bus_failed)
        provider_known &= ~(provider_failed & bus_failed)
        provider_failed &= ~bus_failed
        size = np.diff(np.append(start, len(links)))
        links_failed &= ~(bus_failed | np.repeat(provider_failed, size, axis=0))
        _enter(sums, 1 + providers, provider_known, provider_failed, slots, pause)
        _enter(sums, 1 + agencies + links, links_known, links_failed, slots, pause)
        yield
    return sums


def _pieces(begin: Ints, end: int, slots: int) -> Iterator[tuple[slice, slice]]:
    """Cut consecutive groups of rows into pieces of whole groups, of PIECE_CELLS or a single group each.

    ``begin`` (g,) is where each group begins, ``end`` where the last ends. Yields the groups and the rows of each piece.
    """
    piece = max(1, PIECE_CELLS // max(1, slots))
    edges = np.append(begin, end)
    first = 0
    while first < len(begin):
        last = max(first + 1, int(np.searchsorted(edges, edges[first] + piece, side="right")) - 1)
        yield slice(first, last), slice(int(edges[first]), int(edges[last]))
        first = last


def _outvoted(known: Bits, failed: Bits, start: Ints, slots: int) -> Bits:
    """Return the slots in which more links of each group fail than are answered; groups begin at ``start`` (g,)."""
    outvoted = np.zeros((len(start), known.shape[1]), dtype=np.uint64)
    suspect = np.bitwise_or.reduceat(failed, start, axis=0).any(axis=1)
    size = np.diff(np.append(start, len(known)))
    rows = np.flatnonzero(np.repeat(suspect, size))
    edges = np.cumsum(np.append(0, size[suspect]))
    votes = np.zeros((len(edges) - 1, slots), dtype=np.int32)
    step = _step(slots)
    for first in range(0, len(rows), step):
        part = rows[first : first + step]
        cast = 2 * unpack_bits(failed[part], slots).view(np.int8) - unpack_bits(known[part], slots).view(np.int8)
        inside = np.clip(edges - first, 0, len(part))
        adding = sparse_rows(np.ones(len(part), dtype=np.int16), np.arange(len(part)), inside)
        votes += adding @ cast.astype(np.int16)
    outvoted[suspect] = pack_bits(votes > 0)
    return outvoted


def _enter(sums: CauseSums, causes: Ints, known: Bits, failed: Bits, slots: int, pause: int) -> None:
    """Enter the sums of ``causes`` (c,), which are ``known`` and ``failed`` in slots (c, w)."""
    kind = sums.known.dtype
    slots_known, slots_down = count_bits(known, kind), count_bits(failed, kind)
    sums.known[causes], sums.down[causes] = slots_known, slots_down
    sums.head[causes] = sums.tail[causes] = np.minimum(slots_known, pause)
    failing = np.flatnonzero(slots_down)
    step = _step(slots)
    for first in range(0, len(failing), step):
        part = failing[first : first + step]
        begun, head, tail = _outages(known[part] & ~failed[part], failed[part], slots, pause)
        sums.outages[causes[part]] = begun
        sums.head[causes[part]], sums.tail[causes[part]] = head, tail


def _outages(up: Bits, down: Bits, slots: int, pause: int) -> tuple[Ints, Ints, Ints]:
    """Return outages, head and tail as ``sum_states`` does, of causes that are each down in some slot; all are (c,)."""
    flags = unpack_bits(down, slots)
    flags[:, 1:] &= ~flags[:, :-1]  # where a run of slots down begins; within it nothing is up
    cause, slot = np.divmod(np.flatnonzero(flags.view(np.bool_)), slots)
    word, bit = np.divmod(slot, len(_BEFORE))
    ups = np.bitwise_count(up)
    ahead = np.cumsum(ups, axis=1, dtype=np.int64)
    # Slots up before each run.
    before = (ahead - ups)[cause, word] + np.bitwise_count(up[cause, word] & _BEFORE[bit])
    first = np.diff(cause, prepend=-1) > 0
    begins = first | (np.diff(before, prepend=0) >= pause)
    last = np.append(first[1:], True)
    head, tail = before[first], ahead[:, -1] - before[last]
    return np.bincount(cause[begins], minlength=len(up)), np.minimum(head, pause), np.minimum(tail, pause)


def _step(slots: int) -> int:
    return min(max(1, CELLS // max(1, slots)), np.iinfo(np.int16).max)
