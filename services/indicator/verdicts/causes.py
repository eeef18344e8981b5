"""Whose fault a failed slot was: the bus's, a provider's or the link's own; and such slots as rows per cause and day
(docs/method.md §6, Causes).

* The *bus* is down where its own endpoint is known and not OK. What fails in such a slot is charged to the bus, and the
  slot is unknown to every other cause. What is answered nonetheless did not need the bus, and counts as seen.
* A *provider* is down where more of the known links to it fail than are answered. Probes come at different moments of a
  slot, so at the edges of an outage links disagree; a majority begins and ends it without bias, and one link that is
  always answered cannot hide an outage of a hundred others. A provider with one link answers for all that it does.
* A link's *own* fault is a failure while its provider is up.

So a failed slot is charged to one cause and no more. A link's loss itself is not put together from its causes: what was
seen of the link says it exactly, with charged to the bus + known to the link's own cause = known. The causes say how
many outages that was, and what else they would have taken along.

Where nothing is known of the bus, or no endpoint is named for it, nothing can be charged to it; what fails together is
then left to the guard of §6. Links that are not live take no part, neither for themselves nor for their provider: they are
known zeros by the register, which nothing that happens can change.

An *outage* ends when a cause was up for an hour of known slots in a row, its *pause*: one that comes and goes is one, not
many, or what is the same draw would be taken for many.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import DTypeLike, NDArray

from services.core.model import Stage
from services.indicator.register_arrays import RegisterArrays

__all__ = [
    "DOWN",
    "UNKNOWN",
    "UP",
    "CauseSums",
    "cause_states",
    "counter_type",
    "join_sums",
    "pause_slots",
    "sum_states",
]

UNKNOWN, UP, DOWN = -1, 0, 1

PAUSE_SECONDS = 3600
LONGEST_PAUSE = 120
"""Slots; two of them fit the eight bits that a pause is counted in."""


def pause_slots(slot_seconds: int) -> int:
    """Return how many known slots up in a row end an outage: an hour of them, at least 1 and at most 120."""
    return min(max(1, round(PAUSE_SECONDS / slot_seconds)), LONGEST_PAUSE)


@dataclass(frozen=True, slots=True, eq=False)
class CauseSums:
    """Consecutive slots of c causes, summed: what §6 keeps per cause and day.

    Slots ``known`` and ``down``, and ``outages`` begun. ``head`` known slots up before the first one down and ``tail``
    after the last, both up to the pause; where none is down, both are ``known`` up to the pause. All (c,).
    """

    known: NDArray[np.unsignedinteger[Any]]
    down: NDArray[np.unsignedinteger[Any]]
    outages: NDArray[np.unsignedinteger[Any]]
    head: NDArray[np.uint8]
    tail: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.known)

    @classmethod
    def empty(cls, causes: int, slots: int) -> Self:
        """Return the rows of causes of which nothing is known, to be filled in with those of so many slots."""

        def of(kind: DTypeLike) -> NDArray[Any]:
            return np.zeros(causes, dtype=kind)

        kind = counter_type(slots)
        return cls(known=of(kind), down=of(kind), outages=of(kind), head=of(np.uint8), tail=of(np.uint8))


def cause_states(arrays: RegisterArrays, verdicts: NDArray[np.int8], bus: NDArray[np.int8] | None) -> NDArray[np.int8]:
    """Return each cause's state in each slot: UP, DOWN or UNKNOWN, (slots, 1 + agencies + links).

    Columns are the bus, the register's agencies as providers, and the register's links' own faults. ``verdicts`` (slots, links)
    are stages in register order, -1 where unknown *and where the link is not in force or not live*. ``bus`` (slots,) is the
    verdict of the bus's endpoint likewise, None where the policy names none.
    """
    slots, agencies = len(verdicts), len(arrays.agencies)
    states = np.full((slots, 1 + agencies + len(arrays.links)), UNKNOWN, dtype=np.int8)
    bus_down = np.zeros(slots, dtype=np.bool_)
    if bus is not None:
        bus_down = (bus >= 0) & (bus < Stage.OK)
        states[:, 0] = np.where(bus < 0, UNKNOWN, bus_down)
    if not len(arrays.links):
        return states
    order = np.argsort(arrays.provider, kind="stable")
    present, begin = np.unique(arrays.provider[order], return_index=True)
    # Slot by slot, because a row fits the processor's cache and a day does not.
    for row, verdict, failing in zip(states[:, 1:], verdicts, bus_down, strict=True):
        providers, own = row[:agencies], row[agencies:]
        own[:] = np.where(verdict < 0, np.int8(UNKNOWN), verdict < Stage.OK)
        of_links = own[order]
        known = np.maximum.reduceat(of_links, begin) >= UP
        more_fail = np.add.reduceat(_VOTES[of_links], begin, dtype=np.int32) > 0
        providers[present] = np.where(known, more_fail, np.int8(UNKNOWN))
        if failing:
            # What fails while the bus is down says nothing of anybody else.
            row[row == DOWN] = UNKNOWN
        else:
            own -= (own == DOWN) & (providers[arrays.provider] == DOWN)
    return states


def sum_states(states: NDArray[np.int8], pause: int) -> CauseSums:
    """Sum consecutive slots (slots, c), in their order; ``pause`` is that of ``pause_slots``."""
    slots, causes = states.shape
    outages = np.zeros(causes, dtype=counter_type(slots))
    head, tail = np.zeros(causes, dtype=np.uint8), np.full(causes, pause, dtype=np.uint8)
    before = np.ones(causes, dtype=np.bool_)
    for row in states:
        down, up = row == DOWN, row == UP
        outages += down & (tail >= pause)
        tail += up & (tail < pause)
        tail[down] = 0
        before &= ~down
        head += up & before & (head < pause)
    return CauseSums(
        known=(states >= UP).sum(axis=0, dtype=outages.dtype),
        down=(states == DOWN).sum(axis=0, dtype=outages.dtype),
        outages=outages,
        head=head,
        tail=np.where(before, head, tail),
    )


def join_sums(earlier: CauseSums, later: CauseSums, pause: int) -> CauseSums:
    """Sum two stretches of the same causes, one after the other; equal to ``sum_states`` the slots of both."""
    kind = counter_type(int(earlier.known.max(initial=0)) + int(later.known.max(initial=0)))
    between = np.minimum(earlier.tail + later.head, np.uint8(pause))
    failed, fails = earlier.down > 0, later.down > 0
    goes_on = failed & fails & (between < pause)
    return CauseSums(
        known=np.add(earlier.known, later.known, dtype=kind),
        down=np.add(earlier.down, later.down, dtype=kind),
        outages=np.add(earlier.outages, later.outages, dtype=kind) - goes_on,
        head=np.where(failed, earlier.head, between),
        tail=np.where(fails, later.tail, between),
    )


# By state: an answer votes against an outage, a failure for it, what is unknown (index -1, the last) not at all.
_VOTES = np.array([-1, 1, 0], dtype=np.int8)


def counter_type(slots: int) -> np.dtype[np.unsignedinteger[Any]]:
    """Return the type that counts so many slots."""
    # The longest day has 25 hours: with slots of two seconds or more its count fits 16 bits.
    return np.dtype(np.uint16 if slots <= np.iinfo(np.uint16).max else np.uint32)
