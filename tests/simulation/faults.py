"""The faults of a month, drawn beforehand: what fails, when, and for how long."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass

from services.core.bus import MEASUREMENTS
from tests.simulation.archive import Archive
from tests.simulation.bus import Trouble
from tests.simulation.component import Component, World
from tests.simulation.disk import FAILURES
from tests.simulation.prober import Prober
from tests.simulation.record import Entry
from tests.simulation.scorer import Scorer
from tests.simulation.shape import DAY

HOUR = 3600.0


@dataclass(eq=False)
class Faults:
    """Injects the faults into the components of a world."""

    world: World
    probers: list[Prober]
    scorer: Scorer
    archive: Archive | None
    rng: random.Random

    @property
    def components(self) -> list[Component]:
        """All components."""
        return [*self.probers, self.scorer, *([self.archive] if self.archive else [])]

    def schedule(self) -> None:
        """Draw when each fault of the shape happens."""
        shape = self.world.shape
        calls: dict[str, Callable[[], None]] = {
            "kill": self._kill,
            "kill in the middle": self._kill_in_the_middle,
            "power cut": self._cut_power,
            "outage": self._outage,
            "partition": self._partition,
            "long partition": lambda: self._cut_off(self._one(), self.rng.uniform(1, 9) * DAY),
            "disk": self._fail_disk,
            "clock": self._move_clock,
            "stream anew": lambda: self.world.bus.begin_anew(MEASUREMENTS),
            "ids forgotten": self.world.bus.forget_ids,
            "damage": self._damage,
            "lost folder": self._lose_folder,
            "long stop": lambda: self._one().kill(self.rng.uniform(1, 9) * DAY),
        }
        drawn = [
            (self.rng.uniform(shape.start, shape.end), number, name)
            for number, (name, count) in enumerate(shape.faults.items())
            for _ in range(count)
        ]
        for moment, _, name in sorted(drawn):
            self.world.loop.call_at(moment, self._happen, name, calls[name])

    def end(self) -> None:
        """End all faults."""
        world = self.world
        world.bus.down.clear()
        world.disk.failing.clear()
        world.disk.kill_after.clear()
        world.bus.trouble = Trouble()
        for one in self.components:
            one.start()

    def _happen(self, name: str, call: Callable[[], None]) -> None:
        self.world.bus.counts[name] += 1
        self.world.record.note(self.world.loop.time(), "faults", name)
        call()

    def _one(self) -> Component:
        return self.rng.choice(self.components)

    def _kill(self) -> None:
        one = self._one()
        one.note("killed")
        one.kill(self.rng.choice([10.0, 600.0, 2 * HOUR, 12 * HOUR]))

    def _kill_in_the_middle(self) -> None:
        one = self._one()
        self.world.disk.kill_after[one.name] = self.rng.randint(1, 40)

    def _cut_power(self) -> None:
        down = self.rng.choice([600.0, 2 * HOUR, 20 * HOUR])
        for one in self.components:
            one.kill(down)
        undone = self.world.disk.cut_power()
        self.world.bus.counts["operations undone by power cuts"] += undone

    def _outage(self) -> None:
        for one in self.components:
            self._cut_off(one, self.rng.uniform(0.2, 12) * HOUR)

    def _partition(self) -> None:
        self._cut_off(self._one(), self.rng.uniform(0.2, 12) * HOUR)

    def _cut_off(self, one: Component, seconds: float) -> None:
        self.world.bus.down.add(one.name)
        self.world.loop.call_later(seconds, self.world.bus.down.discard, one.name)

    def _fail_disk(self) -> None:
        name = self._one().name
        self.world.disk.failing[name] = self.rng.choice(FAILURES)
        self.world.loop.call_later(self.rng.uniform(0.2, 24) * HOUR, self.world.disk.failing.pop, name, None)

    def _move_clock(self) -> None:
        ahead = self.rng.uniform(-HOUR, HOUR)
        one = self.rng.choice([None, *self.components])
        if one is None:
            self.world.bus.clock_ahead = ahead
        else:
            one.ahead = ahead

    def _damage(self) -> None:
        """Damage one file of the scorer, which is killed."""
        files = sorted(path for path in self.scorer.folder.rglob("*") if path.is_file() and path.name != "lock")
        if not files:
            return
        self.scorer.kill(self.rng.choice([10.0, 2 * HOUR]))
        asyncio.get_running_loop().call_later(1.0, self._damage_file, self.rng.choice(files).name)

    def _lose_folder(self) -> None:
        """Remove the folder of the scorer, which is killed."""
        self.scorer.kill(self.rng.choice([10.0, 2 * HOUR]))
        asyncio.get_running_loop().call_later(1.0, self._remove_folder)

    def _remove_folder(self) -> None:
        self.world.disk.lose(self.scorer.folder)
        self._is_lost("its folder")

    def _damage_file(self, name: str) -> None:
        path = next((path for path in sorted(self.scorer.folder.rglob(name)) if path.is_file()), None)
        if path is None:
            return
        content = bytearray(path.read_bytes())
        match self.rng.choice(["gone", "empty", "cut", "bit", "zeroed"]):
            case "gone":
                path.rename(path.with_name("gone"))
                path.with_name("gone").rename(self.world.disk.root / "gone")
            case "empty":
                path.write_bytes(b"")
            case "cut":
                path.write_bytes(content[: self.rng.randrange(len(content) + 1)])
            case "bit":
                at = self.rng.randrange(len(content) or 1)
                content[at : at + 1] = bytes([content[at] ^ (1 << self.rng.randrange(8))]) if content else b""
                path.write_bytes(content)
            case "zeroed":
                path.write_bytes(bytes(len(content)))
        self._is_lost(name)

    def _is_lost(self, what: str) -> None:
        record = self.world.record
        record.note(self.world.loop.time(), "faults", f"the scorer has lost {what}")
        record.repairing.add("scorer")
        record.excused["scorer"].update(self._nowhere_else())

    def _nowhere_else(self) -> set[Entry]:
        """Return the messages that are neither in the stream nor in a dataset from which the scorer restores."""
        world = self.world
        stream, generation = world.bus.expire(MEASUREMENTS), len(world.record.generations) - 1
        held = (
            {message.sequence for message in stream.messages}
            if world.record.generations[-1:] == [stream.created]
            else set()
        )
        gone = {one for one in world.record.entries if one.generation != generation or one.message.sequence not in held}
        if world.shape.restores and self.archive is not None:
            return gone & world.record.excused["archive"]
        return gone
