"""Disks that forget what was not synced when the power is cut, that are full, broken or read-only."""

from __future__ import annotations

import asyncio
import random
from contextlib import ExitStack

from tests.chaos.disks import why_not
from tests.chaos.faults.disk import INPUT_OUTPUT, NO_SPACE, READ_ONLY, WELL
from tests.chaos.schedule import Fault
from tests.chaos.world import KEEPERS, World

NAME = "disks"
MACHINE = "machine"
_CUT = "cut"
_ACTIONS = (_CUT, _CUT, NO_SPACE, INPUT_OUTPUT, READ_ONLY)
_SECONDS = (1.0, 2.0, 4.0)

__all__ = ["NAME", "draw", "inject", "why_not"]


def draw(chance: random.Random) -> Fault:
    """Draw a fault: half of the power cuts are of the whole machine."""
    action, victim = chance.choice(_ACTIONS), chance.choice(KEEPERS)
    if action == _CUT:
        return Fault(NAME, action, MACHINE if chance.random() < 0.5 else victim)
    return Fault(NAME, action, victim, chance.choice(_SECONDS) * chance.uniform(0.5, 1.0))


async def inject(world: World, fault: Fault) -> str:
    """Cut the power of processes with their disks, or make a disk fail for a while."""
    if fault.action == _CUT:
        everything = [name for name in world.processes if name != "sandbox"]
        names = everything if fault.victim == MACHINE else [world.process_of(fault.victim, fault.number)]
        with ExitStack() as stack:
            for name in names:
                stack.enter_context(world.processes[name].held_down())
            for name in names:
                if name in world.disks:
                    await world.disks[name].tell(f"{_CUT} {world.seed}-{fault.number}-{name}")
        return ""
    disk = world.disks[world.process_of(fault.victim, fault.number)]
    await disk.tell(fault.action)
    try:
        await asyncio.sleep(fault.seconds)
    finally:
        await disk.tell(WELL)
    return ""
