"""The cause of each failed slot: the bus, a provider, or the link itself (docs/method.md §6.2).

Failures are charged to causes by this rule:

* The *bus* is down where its own endpoint is known and not OK. Failures in such a slot are charged to the bus, and the
  slot is unknown to every other cause. Links answered in it did not need the bus and count as known.
* A *provider* is down where more of the known links to it fail than are answered. Links are probed at different moments
  of a slot, so they disagree at the edges of an outage; the majority starts and ends it without bias, and one link that
  is always answered cannot hide an outage of a hundred others. A provider with one link fails when that link fails.
* A link's *own* fault is a failure while its provider is up.

So a failed slot is charged to exactly one cause. A link's loss is not computed from its causes but measured directly:
slots charged to the bus + slots known to the link's own cause = known slots. The causes show how many outages there were,
and how far each reached.

Nothing is charged to the bus where nothing is known of it, or the policy names no endpoint for it. Common failures
are then left to the guard of §6.7. Links that are not live take no part, for themselves or for their provider: the
register makes them known zeros, whatever happens.

An *outage* ends when its cause has been up for its *pause*, an hour of known slots in a row. So an intermittent outage
is one draw, not many.

The rule is evaluated in two ways: ``cause_states`` and ``sum_states`` here, slot by slot, and ``closed_day.charge_day`` for
a whole day in bits. tests/property/indicator/test_causes.py checks that they agree.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from services.core.model import Stage
from services.indicator.array_types import Codes, Counts
from services.indicator.register_arrays import RegisterArrays

UNKNOWN, UP, DOWN = -1, 0, 1

PAUSE_SECONDS = 3600
LONGEST_PAUSE = 120
"""Slots; twice as many fit the eight bits that a pause is counted in."""


def pause_slots(slot_seconds: int) -> int:
    """Return how many known slots up in a row end an outage: an hour, at least 1 and at most 120 slots."""
    return min(max(1, round(PAUSE_SECONDS / slot_seconds)), LONGEST_PAUSE)


@dataclass(frozen=True, slots=True, eq=False)
class CauseSums:
    """Sums over consecutive slots of c causes, which §6.3 keeps per cause and day.

    All are (c,): slots ``known`` and ``down``, and ``outages`` that began. ``head`` counts the known slots up before
    the first slot down, and ``tail`` those after the last, both up to the pause. Where no slot is down, both are
    ``known`` up to the pause.
    """

    known: Counts
    down: Counts
    outages: Counts
    head: NDArray[np.uint8]
    tail: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.known)

    @classmethod
    def empty(cls, causes: int, slots: int) -> Self:
        """Return zeros to be filled in with the sums of this many slots."""
        kind = counter_type(slots)
        known, down, outages = (np.zeros(causes, dtype=kind) for _ in range(3))
        head, tail = (np.zeros(causes, dtype=np.uint8) for _ in range(2))
        return cls(known, down, outages, head, tail)


def cause_states(arrays: RegisterArrays, verdicts: Codes, bus: Codes | None) -> Codes:
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
    # Slot by slot, because a row fits the processor's cache and a day does not. A slot without verdicts stays unknown.
    for slot in np.flatnonzero((verdicts >= 0).any(axis=1)):
        row, verdict, failing = states[slot, 1:], verdicts[slot], bus_down[slot]
        providers, own = row[:agencies], row[agencies:]
        own[:] = np.where(verdict < 0, np.int8(UNKNOWN), verdict < Stage.OK)
        of_links = own[order]
        known = np.maximum.reduceat(of_links, begin) >= UP
        more_fail = np.add.reduceat(_VOTES[of_links], begin, dtype=np.int32) > 0
        providers[present] = np.where(known, more_fail, np.int8(UNKNOWN))
        if failing:
            # A failure while the bus is down is unknown to every other cause.
            row[row == DOWN] = UNKNOWN
        else:
            own -= (own == DOWN) & (providers[arrays.provider] == DOWN)
    return states


def sum_states(states: Codes, pause: int) -> CauseSums:
    """Sum consecutive slots (slots, c) in order; ``pause`` is that of ``pause_slots``."""
    slots, causes = states.shape
    outages = np.zeros(causes, dtype=counter_type(slots))
    head, tail = np.zeros(causes, dtype=np.uint8), np.full(causes, pause, dtype=np.uint8)
    before = np.ones(causes, dtype=np.bool_)
    for row in states[(states >= UP).any(axis=1)]:  # a slot in which all is unknown changes nothing
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
    """Sum two consecutive stretches of the same causes: the same as ``sum_states`` over the slots of both."""
    kind = counter_type(int(earlier.known.max(initial=0)) + int(later.known.max(initial=0)))
    between = np.minimum(earlier.tail + later.head, np.uint8(pause))
    failed_before, fails_after = earlier.down > 0, later.down > 0
    same_outage = failed_before & fails_after & (between < pause)
    return CauseSums(
        known=np.add(earlier.known, later.known, dtype=kind),
        down=np.add(earlier.down, later.down, dtype=kind),
        outages=np.add(earlier.outages, later.outages, dtype=kind) - same_outage,
        head=np.where(failed_before, earlier.head, between),
        tail=np.where(fails_after, later.tail, between),
    )


# By state: an answer votes against an outage, a failure for it, and an unknown slot (index -1, the last) not at all.
_VOTES = np.array([-1, 1, 0], dtype=np.int8)


def counter_type(slots: int) -> np.dtype[np.unsignedinteger[Any]]:
    """Return the smallest type that counts this many slots."""
    # The longest day has 25 hours: with slots of two seconds or more, 16 bits suffice.
    return np.dtype(np.uint16 if slots <= np.iinfo(np.uint16).max else np.uint32)
