"""The processes of ``peyvand up``: started, watched, started again when they die, and all ended."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from services.core.errors import PeyvandError
from services.core.runtime import DRAIN_SECONDS

__all__ = ["Child", "ComponentError", "component_command", "running"]

_LOOK_SECONDS = 0.05
_RESTART_SECONDS = 0.5
_YOUNG_SECONDS = 5.0  # a process that ends younger than this, several times in a row, will not get better
_YOUNG_DEATHS = 3


class ComponentError(PeyvandError):
    """A component cannot be kept running."""


@dataclass
class Child:
    """One process of ours; ``restarts`` counts how often it had to be started again. It is not started before the file
    ``needs``, which another one writes, is there.
    """

    name: str
    command: Sequence[str]
    log: Path
    needs: Path | None = None
    process: asyncio.subprocess.Process | None = None
    restarts: int = 0
    failed: asyncio.Event = field(default_factory=asyncio.Event)

    async def start(self) -> None:
        """Start it in a session of its own, so that Ctrl-C reaches us alone and we end it in order."""
        with self.log.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *self.command, stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )

    async def keep_running(self) -> None:
        """Start it again whenever it dies; sets ``failed`` and returns when it keeps ending young by itself."""
        if self.process is None:
            while self.needs is not None and not self.needs.exists():  # noqa: ASYNC110  # another process writes it
                await asyncio.sleep(_LOOK_SECONDS)
            await self.start()
        loop = asyncio.get_running_loop()
        young = 0
        while True:
            started = loop.time()
            assert self.process is not None
            code = await self.process.wait()
            # A signal (a negative code) came from outside and says nothing about the next start.
            young = young + 1 if code >= 0 and loop.time() - started < _YOUNG_SECONDS else 0
            if young >= _YOUNG_DEATHS:
                self.failed.set()
                return
            await asyncio.sleep(_RESTART_SECONDS)
            self.restarts += 1
            await self.start()

    def last_words(self) -> str:
        """The last line it wrote, which says why it ended."""
        lines = self.log.read_text("utf-8", "replace").strip().splitlines()
        return lines[-1] if lines else "it wrote nothing"

    def signal(self, number: signal.Signals) -> None:
        """Send a signal if it still runs."""
        if self.process is not None and self.process.returncode is None:
            self.process.send_signal(number)

    async def wait(self) -> None:
        """Wait for its end."""
        if self.process is not None:
            await self.process.wait()


def component_command(component: str, flags: Mapping[str, object]) -> list[str]:
    """The command line of one component, by the Python that runs us."""
    pairs = (part for name, value in flags.items() for part in (f"--{name.replace('_', '-')}", str(value)))
    return [sys.executable, "-m", f"services.{component}", *pairs]


async def _end(children: Sequence[Child], seconds: float) -> None:
    for child in children:
        child.signal(signal.SIGTERM)
    ends = [asyncio.ensure_future(child.wait()) for child in children]
    if ends:
        await asyncio.wait(ends, timeout=seconds)
    for child in children:
        child.signal(signal.SIGKILL)
    await asyncio.gather(*ends)


@asynccontextmanager
async def running(server: Child, components: Sequence[Child]) -> AsyncIterator[None]:
    """All of them running; at the end the components drain first, while the bus still takes what they flush."""
    watchers: list[asyncio.Task[None]] = []
    everyone = [server, *components]
    try:
        for child in everyone:
            child.log.parent.mkdir(parents=True, exist_ok=True)
            if child.needs is None:
                await child.start()
            watchers.append(asyncio.create_task(child.keep_running()))
        yield
    finally:
        for watcher in watchers:
            watcher.cancel()
        await asyncio.gather(*watchers, return_exceptions=True)
        await _end(components, DRAIN_SECONDS - 0.5)
        await _end([server], 1.0)
