"""Whose fault a failed slot was: the bus's, a provider's or the link's own; and such slots as rows per cause and day
(INDICATOR.md §6, Causes).

A link's slots are divided among three causes so that each failed slot is charged to one of them:

* The *bus* is down where its own endpoint is known and not OK. What fails in such a slot is charged to the bus, and the
  slot is unknown to every other cause. What is answered nonetheless did not need the bus, and counts as seen.
* A *provider* is down where links to it are known and none of them is OK: who answers anybody is up. So links that
  disagree are the fault of those that failed, and a provider with one link answers for all that this link does.
* A link's *own* fault is a failure while somebody else gets an answer of the same provider.

Then, over a link's known slots: failed = charged to the bus + provider down + own faults, and known = charged to the bus
+ slots known to the link's own cause. Where nothing is known of the bus, or no endpoint is named for it, nothing can be
charged to it; what fails together is then left to the guard of §6. Links that are not live take no part, neither for
themselves nor for their provider: they are known zeros by the register, which nothing that happens can change.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.core.outcome import Stage
from services.indicator.frame import Frame

__all__ = ["DOWN", "UNKNOWN", "UP", "CauseRows", "cause_states", "join", "rows_of"]

UNKNOWN, UP, DOWN = -1, 0, 1


@dataclass(frozen=True, slots=True, eq=False)
class CauseRows:
    """Consecutive slots of c causes, summed: what §6 keeps per cause and day.

    Slots ``known`` and ``down``; ``starts``: from up to down between one known slot and the next known one;
    ``first`` and ``last`` known state, UNKNOWN where no slot is known. All (c,), unsigned and int8.
    """

    known: NDArray[np.unsignedinteger[Any]]
    down: NDArray[np.unsignedinteger[Any]]
    starts: NDArray[np.unsignedinteger[Any]]
    first: NDArray[np.int8]
    last: NDArray[np.int8]

    def __len__(self) -> int:
        return len(self.known)


def cause_states(frame: Frame, verdicts: NDArray[np.int8], bus: NDArray[np.int8] | None) -> NDArray[np.int8]:
    """Return each cause's state in each slot: UP, DOWN or UNKNOWN, (slots, 1 + agencies + links).

    Columns are the bus, the frame's agencies as providers, and the frame's links' own faults. ``verdicts`` (slots, links)
    are stages in frame order, -1 where unknown *and where the link is not in force or not live*. ``bus`` (slots,) is the
    verdict of the bus's endpoint likewise, None where the policy names none.
    """
    slots, agencies = len(verdicts), len(frame.agencies)
    states = np.full((slots, 1 + agencies + len(frame.links)), UNKNOWN, dtype=np.int8)
    bus_down = np.zeros(slots, dtype=np.bool_)
    if bus is not None:
        bus_down = (bus >= 0) & (bus < Stage.OK)
        states[:, 0] = np.where(bus < 0, UNKNOWN, bus_down)
    if not len(frame.links):
        return states
    order = np.argsort(frame.provider, kind="stable")
    present, begin = np.unique(frame.provider[order], return_index=True)
    # Slot by slot, because a row fits the processor's cache and a day does not.
    for row, verdict, failing in zip(states[:, 1:], verdicts, bus_down, strict=True):
        providers, own = row[:agencies], row[agencies:]
        providers[present] = _states(np.maximum.reduceat(verdict[order], begin))
        own[:] = _states(verdict)
        if failing:
            # What fails while the bus is down says nothing of anybody else.
            row[row == DOWN] = UNKNOWN
        else:
            # A failure is the provider's where it answered nobody; then the link's own cause has no part in it.
            own -= (own == DOWN) & (providers[frame.provider] == DOWN)
    return states


def rows_of(states: NDArray[np.int8]) -> CauseRows:
    """Sum consecutive slots (slots, c), in their order."""
    slots, causes = states.shape
    starts = np.zeros(causes, dtype=_counter(slots))
    first, last = np.full((2, causes), UNKNOWN, dtype=np.int8)
    for row in states:
        known = row >= UP
        starts += (row == DOWN) & (last == UP)
        np.copyto(first, row, where=first < UP)
        np.copyto(last, row, where=known)
    return CauseRows(
        known=(states >= UP).sum(axis=0, dtype=starts.dtype),
        down=(states == DOWN).sum(axis=0, dtype=starts.dtype),
        starts=starts,
        first=first,
        last=last,
    )


def join(earlier: CauseRows, later: CauseRows) -> CauseRows:
    """Sum two stretches of the same causes, one after the other; equal to ``rows_of`` the slots of both."""
    kind = _counter(int(earlier.known.max(initial=0)) + int(later.known.max(initial=0)))
    start = (earlier.last == UP) & (later.first == DOWN)
    return CauseRows(
        known=np.add(earlier.known, later.known, dtype=kind),
        down=np.add(earlier.down, later.down, dtype=kind),
        starts=np.add(earlier.starts, later.starts, dtype=kind) + start,
        first=np.where(earlier.first < UP, later.first, earlier.first),
        last=np.where(later.last < UP, earlier.last, later.last),
    )


def _states(verdicts: NDArray[np.int8]) -> NDArray[np.int8]:
    return np.where(verdicts < 0, np.int8(UNKNOWN), (verdicts < Stage.OK).astype(np.int8))


def _counter(slots: int) -> np.dtype[np.unsignedinteger[Any]]:
    # The longest day has 25 hours: with slots of two seconds or more its count fits 16 bits.
    return np.dtype(np.uint16 if slots <= np.iinfo(np.uint16).max else np.uint32)
