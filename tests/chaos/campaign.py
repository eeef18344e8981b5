"""Run a schedule of faults over an installation, and collect what happened and what was left behind."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import grpc

from peyvand.v1 import indicator_pb2
from services.core.bus import StoredMessage
from services.core.bus.names import EXCHANGES, MEASUREMENTS
from services.core.model.register import FLUSH_SECONDS
from services.dataset.positions import read_position
from services.dataset.storage import LocalStorage
from services.dataset.tables import MEASUREMENT
from tests.chaos.clocks import CACHE_SECONDS
from tests.chaos.faults import CLASSES, clocks, files, power
from tests.chaos.record import Acknowledged, Record
from tests.chaos.schedule import Fault, Round
from tests.chaos.world import SLOT, Abilities, World, running_world
from tests.support.oracles.witness import Client
from tests.support.waiting import DEADLINE, eventually

RECOVERY_SECONDS = 60.0
"""The longest recovery allowed: a tenth of two slots of five minutes. Slots here are shorter than Python's startup."""

STUCK_SECONDS = 120.0
"""After this long without recovery the run ends."""

_ASK_SECONDS = 0.5
_BLINDS = ("prober", power.MACHINE)
"""Victims whose faults may leave slots unmeasured."""
_SPOOLED_SECONDS = 60.0
"""The greatest age of data in a damaged file of a spool, when the bus had no time to acknowledge it."""

_SETTLED_SLOTS = 3
_ACKNOWLEDGED_SECONDS = 2.0
"""After this long everything that the bus has stored is acknowledged."""


@dataclass(frozen=True, slots=True)
class Recovery:
    """The seconds from the end of the last of these faults to full recovery, None without recovery."""

    faults: Round
    seconds: float | None


@dataclass
class Run:
    """What happened, and what was left: messages by stream, verdicts by link and slot, indicators of one moment."""

    folder: Path
    began: float = field(default_factory=time.time)
    first_slot: int = 0
    recoveries: list[Recovery] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    blind: list[tuple[float, float]] = field(default_factory=list)
    """Spans in which the prober may have missed slots: it was down, or lost data that was not yet on disk."""
    astray: list[tuple[float, float]] = field(default_factory=list)
    """Spans in which the prober's clock was wrong, and those that it showed: it named another slot than it measured."""
    answers: list[indicator_pb2.Indicator] = field(default_factory=list)
    record: Record = field(default_factory=Record)
    before: list[Acknowledged] = field(default_factory=list)
    """The messages that were acknowledged before the streams were read."""
    messages: dict[str, list[StoredMessage]] = field(default_factory=dict)
    verdicts: dict[str, dict[int, int | None]] = field(default_factory=dict)
    indicators: list[indicator_pb2.Indicator] = field(default_factory=list)
    exits: list[str] = field(default_factory=list)
    until_sealed: set[Path] = field(default_factory=set)
    """The damaged segments, within ``archived``, that the archive notices when it seals their day."""

    @property
    def archived(self) -> Path:
        """A copy of the archive's segments of measurements."""
        return self.folder / "archived"


async def run(
    folder: Path, seed: int, rounds: Iterable[Round], abilities: Abilities, *, say: Callable[[str], None]
) -> Run:
    """Run an installation through the rounds. It ends early when it does not recover."""
    async with running_world(folder, seed, abilities) as world:
        one = Run(folder, record=world.record)
        one.first_slot = int(time.time()) // SLOT + 1
        asking = asyncio.ensure_future(_ask(world, one))
        for faults in rounds:
            await _strike(world, one, faults, say)
            if one.recoveries[-1].seconds is None:
                break
        else:
            try:
                await _gather(world, one)
            except AssertionError as error:  # from a wait
                one.wrong.append(str(error))
        asking.cancel()
        one.exits = [f"{process.name}: {line}" for process in world.processes.values() for _, line in process.exits]
        return one


async def _ask(world: World, one: Run) -> None:
    """Record every index that the api publishes."""
    client = Client(f"127.0.0.1:{world.ports['grpc']}")
    while True:
        with suppress(grpc.RpcError):
            government = await asyncio.to_thread(client.government)
            if government is not None and (not one.answers or one.answers[-1] != government):
                one.answers.append(government)
        await asyncio.sleep(_ASK_SECONDS)


async def _strike(world: World, one: Run, faults: Round, say: Callable[[str], None]) -> None:
    """Inject the faults of a round, and wait until everything has recovered."""
    began = await asyncio.gather(*(_inject(world, one, fault) for fault in faults))
    over = time.time()
    blinded = [
        moment - (_SPOOLED_SECONDS if fault.kind == files.NAME else 0.0)
        for fault, moment in zip(faults, began, strict=True)
        if fault.victim in _BLINDS
    ]
    back = asyncio.ensure_future(_prober_is_back(world))
    well = await world.recovered(over, seconds=STUCK_SECONDS)
    if blinded:
        one.blind.append((min(blinded) - FLUSH_SECONDS, await back))
    back.cancel()
    one.recoveries.append(Recovery(faults, None if well is None else well - over))
    notes, world.notes = world.notes, []
    took = f"well after {well - over:.1f} s" if well else f"not well after {STUCK_SECONDS:.0f} s, since {world.lacking}"
    say(f"  {'; '.join(map(str, faults))}: {took}{''.join(f'; {note}' for note in notes)}")


async def _inject(world: World, one: Run, fault: Fault) -> float:
    """Inject a fault and wait until it is over. Return when it began."""
    await asyncio.sleep(fault.after)
    began = time.time()
    if wrong := await CLASSES[fault.kind].inject(world, fault):
        one.wrong.append(f"{fault}: {wrong}")
    if fault.kind == clocks.NAME and fault.victim == "prober":
        by, ended = clocks.seconds_of(fault), time.time() + CACHE_SECONDS
        one.astray += [(began, ended), (began + by, ended + by)]
    return began


async def _prober_is_back(world: World) -> float:
    """Wait until the prober serves, and return the time."""
    with suppress(AssertionError):
        await world.serving("prober")
    return time.time()


async def _gather(world: World, one: Run) -> None:
    """Wait until everything measured before now is published and archived, and read all of it."""
    end = int(time.time()) // SLOT

    async def settled() -> bool:
        government = await asyncio.to_thread(world.client.government)
        return government is not None and government.as_of.seconds // SLOT >= end + _SETTLED_SLOTS

    await eventually(settled, "everything was published after the last fault", DEADLINE)
    one.before = list(one.record.acknowledged)
    async with world.servers.connect("dump") as bus:
        one.indicators = await asyncio.to_thread(_of_one_moment, world.client)
        for stream in (MEASUREMENTS, EXCHANGES):
            found: list[StoredMessage] = []
            while more := await bus.read(stream, found[-1].sequence + 1 if found else 1):
                found += more
            one.messages[stream] = found
    last = one.messages[MEASUREMENTS][-1].sequence
    await eventually(lambda: _archived(world) >= last, "everything was archived after the last fault", DEADLINE)
    # A disk that forgets is gone after the installation.
    for part in ("measurement", "late/measurement"):
        with suppress(FileNotFoundError):  # nothing may be late
            await asyncio.to_thread(shutil.copytree, world.dataset / "open" / part, one.archived / part)
    one.until_sealed = {one.archived / file.relative_to(world.dataset / "open") for file in world.until_sealed}
    await asyncio.sleep(_ACKNOWLEDGED_SECONDS)
    # In a thread, because the api's requests to the bus pass through this loop.
    one.verdicts = await asyncio.to_thread(
        lambda: {link: world.client.verdicts(link, one.first_slot, end, SLOT) for link in world.links}
    )


def _archived(world: World) -> int:
    """Return the sequence of the last message whose measurements are in the archive's dataset."""
    position = read_position(LocalStorage(world.dataset), MEASUREMENT)
    return 0 if position is None else position.sequence


def _of_one_moment(client: Client) -> list[indicator_pb2.Indicator]:
    """Read indicators of every kind in the default window, all of one moment."""
    kinds = [kind for kind in indicator_pb2.IndicatorKind.values() if kind]
    for _ in range(20):
        found = [row for kind in kinds for row in client.indicators(kind, 28).values()]
        if len({(row.as_of.seconds, row.evidence_sequence) for row in found}) == 1:
            return found
    raise AssertionError("indicators of one moment could not be read together in twenty attempts")
