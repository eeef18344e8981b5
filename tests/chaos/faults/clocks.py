"""Faults of clocks: the clock of a component is wrong for a while."""

from __future__ import annotations

import asyncio
import random

from tests.chaos.clocks import step, why_not
from tests.chaos.schedule import Fault
from tests.chaos.world import COMPONENTS, World

NAME = "clocks"
_STEPS = (0.5, 2.0, 10.0, 60.0, 3600.0)
_SECONDS = (2.0, 4.0)

__all__ = ["NAME", "draw", "inject", "seconds_of", "why_not"]


def draw(chance: random.Random) -> Fault:
    """Draw a fault."""
    by = chance.choice(_STEPS) * chance.choice((-1, 1))
    return Fault(NAME, "step", chance.choice(COMPONENTS), chance.choice(_SECONDS), where=f"by {by:+.1f} s")


def seconds_of(fault: Fault) -> float:
    """Return by how many seconds a fault steps a clock."""
    return float(fault.where.split()[1])


async def inject(world: World, fault: Fault) -> str:
    """Step a clock, and step it back."""
    clock = world.clocks[fault.victim]
    step(clock, seconds_of(fault))
    try:
        await asyncio.sleep(fault.seconds)
    finally:
        step(clock, 0.0)
    return ""
