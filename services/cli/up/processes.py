"""Starts the processes of ``peyvand up``, supervises them, restarts those that die, and stops them in order."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from services.core.errors import PeyvandError
from services.core.runtime import DRAIN_SECONDS

_BOUND_PROCESS = Path(__file__).with_name("bound_process.py")
_POLL_SECONDS = 0.05
_RESTART_SECONDS = 0.5
_YOUNG_SECONDS = 5.0
_MAX_YOUNG_EXITS = 3
"""A process that exits this often in a row, each time younger than _YOUNG_SECONDS, is not restarted any more."""


class ComponentError(PeyvandError):
    """A component cannot be kept running."""


@dataclass
class SupervisedProcess:
    """One child process; ``restarts`` counts how often it was started again.

    ``lock`` is the descriptor that locks the data folder. The process is started once the file ``needs``, which another
    process writes, exists. ``defaults`` are variables of its environment, where ours does not set them.
    """

    name: str
    command: Sequence[str]
    log: Path
    lock: int
    needs: Path | None = None
    defaults: Mapping[str, str] = field(default_factory=dict)
    process: asyncio.subprocess.Process | None = None
    restarts: int = 0

    async def start(self) -> None:
        """Start it in a session of its own, so that Ctrl-C reaches us alone and we stop it in order.

        It ends with us, and holds the lock of the data folder until then.
        """
        with self.log.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-S", "-E", str(_BOUND_PROCESS), str(os.getpid())),
                *self.command,
                env={**self.defaults, **os.environ},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                pass_fds=(self.lock,),
            )

    async def keep_running(self) -> None:
        """Restart it whenever it dies. Raises ComponentError when it keeps exiting young."""
        if self.process is None:
            while self.needs is not None and not self.needs.exists():  # noqa: ASYNC110  # another process writes it
                await asyncio.sleep(_POLL_SECONDS)
            await self.start()
        clock = asyncio.get_running_loop().time
        young = 0
        while True:
            started = clock()
            assert self.process is not None
            code = await self.process.wait()
            # A signal (a negative code) came from outside and predicts nothing about the next start.
            young = young + 1 if code >= 0 and clock() - started < _YOUNG_SECONDS else 0
            if young >= _MAX_YOUNG_EXITS:
                last = self.log.read_text("utf-8", "replace").strip().rpartition("\n")[2] or "it wrote nothing"
                raise ComponentError(f"{self.name} does not stay up; its log {self.log} ends: {last}")
            await asyncio.sleep(_RESTART_SECONDS)
            self.restarts += 1
            await self.start()

    @property
    def failed(self) -> bool:
        """Whether it ever ended although nobody stops it yet."""
        return self.restarts > 0 or (self.process is not None and self.process.returncode is not None)

    @property
    def suspended(self) -> bool:
        """Whether a signal has stopped it, so that it neither works nor ends."""
        if self.process is None:
            return False
        with suppress(psutil.NoSuchProcess):
            return psutil.Process(self.process.pid).status() == psutil.STATUS_STOPPED
        return False

    def signal(self, number: signal.Signals) -> None:
        """Send a signal if it still runs."""
        if self.process is not None and self.process.returncode is None:
            self.process.send_signal(number)


def flag_words(flags: Mapping[str, object]) -> list[str]:
    """Return settings of a component as the words of its command line."""
    return [f"--{name.replace('_', '-')}={value}" for name, value in flags.items()]


@asynccontextmanager
async def running(
    server: SupervisedProcess, components: Sequence[SupervisedProcess]
) -> AsyncIterator[Sequence[asyncio.Task[None]]]:
    """Keep all of them running and yield the tasks that do; each ends only with an error.

    At the end the components drain first, while the bus still accepts what they flush.
    """
    supervisors: list[asyncio.Task[None]] = []
    try:
        for child in (server, *components):
            child.log.parent.mkdir(parents=True, exist_ok=True)
            if child.needs is None:
                await child.start()
            supervisors.append(asyncio.create_task(child.keep_running()))
        yield supervisors
    finally:
        for supervisor in supervisors:
            supervisor.cancel()
        await asyncio.gather(*supervisors, return_exceptions=True)
        await _stop(components, DRAIN_SECONDS - 0.5)
        await _stop([server], 1.0)


async def _stop(children: Sequence[SupervisedProcess], timeout: float) -> None:
    for child in children:
        child.signal(signal.SIGTERM)
    exits = [asyncio.ensure_future(child.process.wait()) for child in children if child.process is not None]
    if exits:
        await asyncio.wait(exits, timeout=timeout)
    for child in children:
        child.signal(signal.SIGKILL)
    await asyncio.gather(*exits)
