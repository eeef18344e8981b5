"""Slots of one day counted together, from the verdicts of a few targets at a time (docs/method.md §3-4, §6)."""

from __future__ import annotations

from collections.abc import Generator
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from services.core.model import Stage
from services.indicator.verdicts import closed_day as bits
from services.indicator.verdicts.causes import CauseSums, pause_slots
from services.indicator.verdicts.charging import charge, groups
from services.indicator.verdicts.closed_day import Words
from services.indicator.verdicts.counts import DayCounts
from services.indicator.verdicts.judge import Judge

__all__ = ["DayCounter", "run_to_end"]

T = TypeVar("T")


class DayCounter:
    """Takes in so many ``slots`` of the day with this ordinal; what is not put in is unknown."""

    def __init__(self, judge: Judge, day: int, slots: int, slot_seconds: int) -> None:
        arrays = judge.arrays
        self._judge = judge
        self._day = day
        self._slots, self._pause = slots, pause_slots(slot_seconds)
        self._links = len(arrays.links)
        self._bus = None if arrays.bus is None else self._links + arrays.bus
        self._tally = DayCounts(arrays, slot_seconds)
        shape = (self._links, bits.width(slots))
        self._known, self._failed = np.zeros(shape, dtype=np.uint64), np.zeros(shape, dtype=np.uint64)
        self._bus_known, self._bus_failed = np.zeros((2, 1, shape[1]), dtype=np.uint64)

    def add(self, targets: NDArray[np.int64], verdicts: NDArray[np.int8]) -> None:
        """Put in some ``targets`` of the register (k,) with their ``verdicts`` (k, slots), as of ``Judge.verdicts``."""
        stages = bits.stage_words(verdicts)
        for counts, words in zip(self._tally.counts, stages, strict=True):
            counts[targets] = bits.count(words, counts.dtype)
        failed = np.bitwise_or.reduce(stages[: Stage.OK])
        known = failed | stages[Stage.OK]
        link = targets < self._links
        self._known[targets[link]], self._failed[targets[link]] = known[link], failed[link]
        if self._bus is not None:
            bus = targets == self._bus
            if bus.any():
                self._bus_known, self._bus_failed = known[bus], failed[bus]

    def finish(self) -> Generator[None, None, tuple[DayCounts, CauseSums]]:
        """Return the counts and the causes once everything is in, pausing between pieces."""
        yield from self._join()
        bus = self._bus_known, self._bus_failed
        arrays, order = self._judge.arrays, self._judge.by_provider
        causes = yield from charge(arrays, order, self._known, self._failed, bus, self._slots, self._pause)
        return self._tally, causes

    def _join(self) -> Generator[None]:
        """Count in how many slots each service was up and down (§4): it is what its worst live link is."""
        judge, every = self._judge, bits.among(self._slots)
        live = judge.by_service[judge.force(self._day).live[judge.by_service]]
        services, begin = np.unique(judge.arrays.service[live], return_index=True)
        for chosen, part in groups(begin, len(live), self._slots):
            start = begin[chosen] - part.start
            down = self._any(self._failed[live[part]], start)
            # A failure is worse than not knowing.
            up = self._any(self._failed[live[part]] | ~self._known[live[part]], start)
            up = every & ~up
            self._tally.down[services[chosen]] = bits.count(down, self._tally.down.dtype)
            self._tally.up[services[chosen]] = bits.count(up, self._tally.up.dtype)
            yield

    @staticmethod
    def _any(words: Words, start: NDArray[np.int64]) -> Words:
        found: Words = np.bitwise_or.reduceat(words, start, axis=0)
        return found


def run_to_end(work: Generator[None, None, T]) -> T:
    """Return what work comes to, done without its pauses."""
    while True:
        try:
            next(work)
        except StopIteration as done:
            found: T = done.value
            return found
