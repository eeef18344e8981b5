"""Components of a simulation as processes that are killed, fail and restart."""

from __future__ import annotations

import asyncio
import random
from abc import ABC, abstractmethod
from collections.abc import Coroutine, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from services.core.errors import BusError, GapError, StateError
from services.core.model import Register
from services.dataset.storage import Storage
from tests.simulation.bus import Bus, Client
from tests.simulation.disk import Disk, KilledError
from tests.simulation.record import Record
from tests.simulation.shape import Shape, Truth


class Deaf:
    """Accepts every call and does nothing."""

    def __getattr__(self, name: str) -> Any:
        return nullcontext if name == "time" else self

    def __call__(self, *_: Any, **__: Any) -> Any:
        return self

    def __iter__(self) -> Iterator[Any]:
        return iter(())


@dataclass(eq=False)
class World:
    """The objects that all components of one simulation share."""

    loop: asyncio.AbstractEventLoop
    shape: Shape
    register: Register
    truth: Truth
    bus: Bus
    disk: Disk
    record: Record
    storage: Storage


class _Log:
    """Records what a component logs, by the virtual clock."""

    def __init__(self, world: World, who: str) -> None:
        self._world, self._who = world, who

    def __getattr__(self, level: str) -> Any:
        def note(event: str, **fields: object) -> None:
            words = " ".join(f"{name}={value}" for name, value in fields.items() if name not in ("seconds", "folder"))
            text = f"{event} {words}".replace(str(self._world.disk.root), "")
            self._world.record.note(self._world.loop.time(), self._who, text)

        return note


class Component(ABC):
    """One process. Its ``work`` runs until it is killed or fails, and restarts some time later."""

    def __init__(self, world: World, name: str, rng: random.Random) -> None:
        self.world, self.name, self.rng = world, name, rng
        self.client: Client = world.bus.client(name)
        self.folder: Path = world.disk.root / name
        self.ahead = 0.0
        """How far its clock is ahead, in seconds."""
        self.log: Any = _Log(world, name)
        self.failure: BaseException | None = None
        """The error with which it ended, if no component may end with that."""
        self._accept = False
        self._down = 0.0
        self._main: asyncio.Task[None] | None = None
        self._rested: asyncio.Future[None] | None = None
        self.ends: dict[str, int] = {}
        self.folder.mkdir(parents=True, exist_ok=True)

    @property
    def runs(self) -> bool:
        """Whether it runs now."""
        return self._main is not None and not self._main.done()

    def kill(self, down: float) -> None:
        """End it at once, and keep it down for so many seconds."""
        if self._main is not None and not self._main.done():
            self._down = max(self._down, down)
            self._main.cancel()

    def note(self, what: str) -> None:
        """Add a line to the log."""
        self.world.record.note(self.world.loop.time(), self.name, what)

    def clock(self) -> float:
        """Its own clock, in epoch seconds."""
        return self.world.loop.time() + self.ahead

    async def live(self) -> None:
        """Run it again and again, until cancelled, or until it ends with an error that no component may end with."""
        while self.failure is None:
            accept, self._accept = self._accept, False
            self._main = asyncio.create_task(self.work(accept))
            try:
                await first_of(self._main)
            finally:
                self.release()
            self._down = max(self._down, self._after(self._main))
            down, self._down = self._down, 0.0
            await self._rest(down)

    async def _rest(self, seconds: float) -> None:
        self._rested = self.world.loop.create_future()
        timer = self.world.loop.call_later(seconds, self.start)
        await self._rested
        timer.cancel()

    def start(self) -> None:
        """Restart it at once, if it is down."""
        if self._rested is not None and not self._rested.done():
            self._rested.set_result(None)

    def _after(self, task: asyncio.Task[None]) -> float:
        """Return how long it is down after it ended, in seconds."""
        error = None if task.cancelled() else task.exception()
        self.ends[type(error).__name__] = self.ends.get(type(error).__name__, 0) + 1
        self.note(f"ended: {type(error).__name__} {error or ''}".replace(str(self.world.disk.root), ""))
        match error:
            case None | KilledError():
                return self.rng.choice([10.0, 600.0, 7200.0])
            case GapError():  # its operator reads why, and lets it continue
                self.told(str(error))
                self._accept = True
                return self.rng.uniform(600.0, 40_000.0)
            case StateError() | BusError():
                return self.rng.uniform(60.0, 3600.0)
        self.failure = error
        return 0.0

    def told(self, sentence: str) -> None:  # noqa: B027  # few components have anything to take in
        """Read the message with which it ended: what that names may be lost."""

    @abstractmethod
    async def work(self, accept: bool) -> None:  # as the setting
        """Run the component."""

    def release(self) -> None:  # noqa: B027  # not every component holds something
        """Release what the system releases for a process that has ended."""


async def first_of(*tasks: asyncio.Task[Any]) -> None:
    """Wait until one of the tasks has ended, and cancel the others, always in the same order (unlike asyncio.wait)."""
    done = asyncio.Event()
    for task in tasks:
        task.add_done_callback(lambda _: done.set())
    try:
        await done.wait()
    finally:
        for task in tasks:
            task.cancel()


async def together(*work: Coroutine[Any, Any, Any]) -> None:
    """Run coroutines until one ends, and end the others. Raises what it ended with."""
    tasks = [asyncio.create_task(one) for one in work]
    await first_of(*tasks)
    for task in tasks:
        if task.done() and not task.cancelled() and (error := task.exception()):
            raise error
