"""Power cuts: processes are killed, and their disks forget what was not synced."""

from __future__ import annotations

import random
from contextlib import ExitStack

from tests.chaos.disks import why_not
from tests.chaos.schedule import Fault
from tests.chaos.world import KEEPERS, World

NAME = "power"
MACHINE = "machine"
"""The victim that stands for all processes at once, including all servers of the bus."""

__all__ = ["MACHINE", "NAME", "draw", "inject", "why_not"]


def draw(chance: random.Random) -> Fault:
    """Draw a fault. Two of three cut the power of the whole machine."""
    return Fault(NAME, "cut", MACHINE if chance.randrange(3) else chance.choice(KEEPERS))


async def inject(world: World, fault: Fault) -> str:
    """Cut the power."""
    everything = [name for name in world.processes if name != "sandbox"]
    names = everything if fault.victim == MACHINE else [world.process_of(fault.victim, fault.number)]
    with ExitStack() as stack:
        for name in names:
            stack.enter_context(world.processes[name].held_down())
        for name in names:
            if name in world.disks:
                await world.disks[name].tell(f"cut {world.seed}-{fault.number}-{name}")
    return ""
