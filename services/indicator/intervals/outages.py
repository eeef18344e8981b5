"""Outages of causes over many days, from the sums of each day (docs/method.md §6.3)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.indicator.array_types import Floats
from services.indicator.verdicts import CauseSums, pause_slots


@dataclass(frozen=True, slots=True, eq=False)
class OutageTotals:
    """Sums over a span, per cause: K ``known`` and S ``down`` in hours, N ``outages``, Q ``squares`` in hours².

    Q estimates the sum of the squared lengths of the outages.
    """

    known: Floats
    down: Floats
    outages: Floats
    squares: Floats

    def part(self, causes: slice) -> OutageTotals:
        """Return some of the causes."""
        return OutageTotals(self.known[causes], self.down[causes], self.outages[causes], self.squares[causes])


class OutageAccumulator:
    """Sums over days that are appended one after another.

    Days joined by a continuing outage form a chain. A chain with downtime Y and n outages adds 2Y²/(n + 1) to Q, the
    expected sum of squares of n exponential lengths that add up to Y. The last chain is still open. Slots are counted in
    32 bits, because there is one such sum per cause and window.
    """

    __slots__ = ("_chain_down", "_chain_outages", "_down", "_known", "_outages", "_slot_seconds", "_squares", "_tail")

    def __init__(self, causes: int, slot_seconds: int) -> None:
        self._slot_seconds = slot_seconds
        self._known, self._down, self._outages, self._chain_down, self._chain_outages = (
            np.zeros(causes, dtype=np.int32) for _ in range(5)
        )
        self._squares = np.zeros(causes)
        self._tail = np.full(causes, pause_slots(slot_seconds), dtype=np.uint8)

    def add(self, day: CauseSums) -> None:
        """Append a day. A day in which nothing is known of a cause does not change it and does not break its chain."""
        pause, failing = pause_slots(self._slot_seconds), np.flatnonzero(day.down)
        down, outages = day.down[failing], day.outages[failing].astype(np.int32)
        continues = self._tail[failing] + day.head[failing] < pause
        ended = failing[~continues]
        self._squares[ended] += _chain(self._chain_down[ended], self._chain_outages[ended])
        self._chain_down[ended] = self._chain_outages[ended] = 0
        outages -= continues
        self._chain_down[failing] += down
        self._chain_outages[failing] += outages
        self._outages[failing] += outages
        self._down[failing] += down
        self._known += day.known
        np.minimum(self._tail + day.tail, pause, out=self._tail)
        self._tail[failing] = day.tail[failing]

    def totals(self) -> OutageTotals:
        """Return the sums in hours."""
        slot_hours = self._slot_seconds / 3600
        squares = self._squares + _chain(self._chain_down, self._chain_outages)
        return OutageTotals(
            known=self._known.astype(np.float64) * slot_hours,
            down=self._down.astype(np.float64) * slot_hours,
            outages=self._outages.astype(np.float64),
            squares=squares * slot_hours**2,
        )


def _chain(down: NDArray[np.int32], outages: NDArray[np.int32]) -> Floats:
    square: Floats = 2.0 * down.astype(np.float64) ** 2 / (outages + 1.0)
    return square
