"""Schedules of faults, and how they shrink."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest

from tests.chaos.faults import CLASSES
from tests.chaos.schedule import Fault, draw, installations
from tests.chaos.shrink import shrink

DRAWS = {name: one.draw for name, one in CLASSES.items()}


def test_a_seed_is_a_schedule() -> None:
    """The same seed draws the same rounds, another seed others, and no round has two faults of one victim."""
    rounds = draw(7, 200, DRAWS)
    assert rounds == draw(7, 200, DRAWS)
    assert rounds != draw(8, 200, DRAWS)
    faults = [fault for one in rounds for fault in one]
    assert [fault.number for fault in faults] == list(range(200))
    assert {fault.kind for fault in faults} == set(CLASSES)
    assert all(len({fault.victim for fault in one}) == len(one) for one in rounds)


def test_some_faults_of_a_schedule_stay_as_they_were() -> None:
    """Faults chosen by number are the same as in the whole schedule, and share rounds with the same others."""
    rounds = draw(7, 50, DRAWS)
    chosen = draw(7, 50, DRAWS, only=[3, 4, 40])
    assert [fault for one in chosen for fault in one] == [f for one in rounds for f in one if f.number in (3, 4, 40)]


@pytest.mark.parametrize("most", [1, 20, 500])
def test_installations_have_all_rounds_in_order(most: int) -> None:
    """No installation has more faults than the limit, unless a single round has."""
    rounds = draw(7, 200, DRAWS)
    parts = list(installations(rounds, most))
    assert [one for part in parts for one in part] == rounds
    assert all(len(part) == 1 or sum(map(len, part)) <= most for part in parts)


@pytest.mark.parametrize("needed", [{5}, {0, 19}, {3, 9, 14}])
async def test_a_failure_shrinks_to_what_it_needs(needed: set[int]) -> None:
    """A failure shrinks to exactly the faults that it needs."""

    async def fails(faults: Sequence[int]) -> bool:
        return needed <= set(faults)

    assert set(await shrink(range(20), fails, attempts=200)) == needed


async def test_shrinking_ends_after_its_attempts() -> None:
    """After the last attempt, the smallest schedule that was seen to fail is returned."""
    tried: list[Sequence[int]] = []

    async def fails(faults: Sequence[int]) -> bool:
        tried.append(faults)
        return {1, 18} <= set(faults)

    found = await shrink(range(20), fails, attempts=3)
    assert len(tried) == 3
    assert {1, 18} <= set(found)


def test_a_fault_says_what_happens() -> None:
    """A fault describes itself in a few words."""
    chance = random.Random(1)
    assert str(Fault("processes", "stop", "prober", 1.25, number=4)) == "4: stop prober for 1.2 s"
    assert all(str(one.draw(chance)) for one in CLASSES.values())
