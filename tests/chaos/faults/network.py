"""Faults of the network: partitions of a cluster of three by network namespaces, and slow connections to it.

Delays between the servers would need the kernel's netem, which few sandboxes have. A server that is stopped for a while
takes their place.
"""

from __future__ import annotations

import asyncio
import random

from tests.chaos.namespaces import NODES, why_not
from tests.chaos.schedule import Fault
from tests.chaos.world import COMPONENTS, World

NAME = "network"
_SECONDS = (2.0, 4.0, 8.0)
_DELAYS = (0.1, 0.5, 1.0)

__all__ = ["NAME", "draw", "inject", "why_not"]


def draw(chance: random.Random) -> Fault:
    """Draw a fault."""
    action = chance.choice(("unplug", "unplug", "part", "deafen", "delay"))
    seconds = chance.choice(_SECONDS) * chance.uniform(0.5, 1.0)
    if action == "delay":
        victim = chance.choice([name for name in COMPONENTS if name != "console"])
        return Fault(NAME, action, victim, seconds, where=f"by {chance.choice(_DELAYS)} s")
    one, other = chance.sample(range(NODES), 2)
    return Fault(
        NAME, action, "network", seconds, where=f"node {one}" if action == "unplug" else f"nodes {one} {other}"
    )


async def inject(world: World, fault: Fault) -> str:
    """Partition the network, or delay a component's connection, for a while."""
    if fault.action == "delay":
        world.proxies[fault.victim].delay = float(fault.where.split()[1])
        await asyncio.sleep(fault.seconds)
        world.proxies[fault.victim].delay = 0.0
        return ""
    assert world.hosts is not None
    nodes = [int(word) for word in fault.where.split()[1:]]
    if fault.action == "unplug":
        world.hosts.unplug(nodes[0])
        await asyncio.sleep(fault.seconds)
        world.hosts.plug_in(nodes[0])
        return ""
    both = fault.action == "part"
    world.hosts.part(*nodes, both=both)
    await asyncio.sleep(fault.seconds)
    world.hosts.join(*nodes, both=both)
    return ""
