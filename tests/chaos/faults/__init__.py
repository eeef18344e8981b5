"""Classes of faults by name: each draws a fault, injects it, and says why this machine does not allow it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from tests.chaos.faults import clocks, disks, files, network, power, processes
from tests.chaos.schedule import Draw, Fault
from tests.chaos.world import World


@dataclass(frozen=True, slots=True)
class FaultClass:
    """``inject`` returns what went wrong with the fault itself, or "". ``why_not`` says why it is impossible here."""

    draw: Draw
    inject: Callable[[World, Fault], Awaitable[str]]
    why_not: Callable[[], str] = lambda: ""


CLASSES = {
    processes.NAME: FaultClass(processes.draw, processes.inject),
    files.NAME: FaultClass(files.draw, files.inject),
    clocks.NAME: FaultClass(clocks.draw, clocks.inject, clocks.why_not),
    power.NAME: FaultClass(power.draw, power.inject, power.why_not),
    disks.NAME: FaultClass(disks.draw, disks.inject, disks.why_not),
    network.NAME: FaultClass(network.draw, network.inject, network.why_not),
}
