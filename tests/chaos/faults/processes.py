"""Faults of processes: one is killed, stopped, ended, or started twice on one folder."""

from __future__ import annotations

import asyncio
import random
import signal
import subprocess

from tests.chaos.processes import Managed
from tests.chaos.schedule import Fault
from tests.chaos.world import BUS, VICTIMS, World
from tests.support.ports import free_port

NAME = "processes"
_ACTIONS = ("kill", "kill", "stop", "stop", "end", "double")
_STOPS = (1.0, 2.0, 3.0, 5.0, 8.0)
_LONG_STOPS = (20.0, 60.0)
_LONG_ONE_IN = 25
_DOUBLE_SECONDS = 20.0
"""How long a second instance may take to refuse: a startup of Python on a busy machine."""


def draw(chance: random.Random) -> Fault:
    """Draw a fault."""
    action, victim = chance.choice(_ACTIONS), chance.choice(VICTIMS)
    long = chance.randrange(_LONG_ONE_IN) == 0
    seconds = chance.choice(_LONG_STOPS if long else _STOPS) * chance.uniform(0.5, 1.0) if action == "stop" else 0.0
    return Fault(NAME, action, victim, seconds)


async def inject(world: World, fault: Fault) -> str:
    """Inject the fault. Return what went wrong with it, or "". The fault is then over; its consequences may not be."""
    process = world.processes[world.process_of(fault.victim, fault.number)]
    match fault.action:
        case "kill":
            process.kill()
        case "end":
            await process.end(10.0)
        case "stop":
            process.signal(signal.SIGSTOP)
            await asyncio.sleep(fault.seconds)
            process.signal(signal.SIGCONT)
        case "double":
            return await _start_twice(process, fault.victim)
    return ""


async def _start_twice(process: Managed, name: str) -> str:
    """Start a second instance on the same folder, which must end with an error."""
    flags = () if name == BUS else (f"--metrics=127.0.0.1:{free_port()}",)
    ends = len(process.exits)
    second = process.spawn(*flags)
    try:
        code = await asyncio.to_thread(second.wait, _DOUBLE_SECONDS)
    except subprocess.TimeoutExpired:
        if not process.running or len(process.exits) > ends:
            return ""  # a power cut had ended the first, so this one took its place
        return f"a second {name} runs on the folder of the first"
    finally:
        second.kill()
        second.wait()
    return "" if code > 0 else f"a second {name} ended with {code}, not with an error"
