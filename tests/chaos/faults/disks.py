"""Faults of disks: a disk is full, broken or read-only for a while."""

from __future__ import annotations

import asyncio
import random

from tests.chaos.disks import why_not
from tests.chaos.faults.disk import INPUT_OUTPUT, NO_SPACE, READ_ONLY, WELL
from tests.chaos.schedule import Fault
from tests.chaos.world import KEEPERS, World

NAME = "disks"
_ACTIONS = (NO_SPACE, INPUT_OUTPUT, READ_ONLY)
_SECONDS = (1.0, 2.0, 4.0)

__all__ = ["NAME", "draw", "inject", "why_not"]


def draw(chance: random.Random) -> Fault:
    """Draw a fault."""
    seconds = chance.choice(_SECONDS) * chance.uniform(0.5, 1.0)
    return Fault(NAME, chance.choice(_ACTIONS), chance.choice(KEEPERS), seconds)


async def inject(world: World, fault: Fault) -> str:
    """Make a disk fail for a while."""
    disk = world.disks[world.process_of(fault.victim, fault.number)]
    await disk.tell(fault.action)
    try:
        await asyncio.sleep(fault.seconds)
    finally:
        await disk.tell(WELL)
    return ""
