"""Components as separate processes that a test can kill, pause and start again."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType

from tests.support.forked import ForkedProcess
from tests.support.ports import free_port
from tests.support.processes import state
from tests.support.waiting import eventually, until

__all__ = ["Components", "started"]


class Components:
    """Processes by name, each started with its settings and killed at the end."""

    def __init__(self, nats, folder: Path) -> None:
        self._nats = nats
        self._folder = folder
        self.running: dict[str, ForkedProcess] = {}
        self.metrics: dict[str, str] = {}

    def start(
        self,
        name: str,
        *flags: object,
        module: str = "",
        args: tuple[str, ...] = (),
        constants: Mapping[str, float] = MappingProxyType({}),
    ) -> None:
        """Start a component. ``module`` runs in place of the component's own module, with other ``constants``."""
        metrics = self.metrics.setdefault(name, f"127.0.0.1:{free_port()}")
        where = ("--nats", self._nats.url, "--credentials", self._nats.credentials, "--data", self._folder / name)
        words = (*args, *where, "--metrics", metrics, *flags)
        log = self._folder / f"{name}.log"
        self.running[name] = ForkedProcess(module or f"services.{name}", *words, stdout=log, constants=constants)

    def kill(self, name: str) -> None:
        process = self.running.pop(name)
        process.kill()
        process.wait()

    def pause(self, name: str) -> None:
        process = self.running[name]
        process.send_signal(signal.SIGSTOP)
        until(lambda: state(process.pid) == "T", f"{name} stopped")

    def resume(self, name: str) -> None:
        self.running[name].send_signal(signal.SIGCONT)

    def logs(self) -> str:
        return "\n".join(f"--- {file.name}\n{file.read_text()[-800:]}" for file in self._folder.glob("*.log"))

    async def until(self, condition: Callable[[], object], what: str) -> None:
        """Wait until a condition holds. Raises AssertionError with the logs when late or a component has ended."""

        async def look() -> object:
            ended = [name for name, process in self.running.items() if process.poll() is not None]
            assert not ended, f"{', '.join(ended)} ended before: {what}\n{self.logs()}"
            return await asyncio.to_thread(condition)

        await eventually(look, lambda: f"{what}\n{self.logs()}")


@contextmanager
def started(nats, folder: Path) -> Iterator[Components]:
    one = Components(nats, folder)
    try:
        yield one
    finally:
        for name in list(one.running):
            one.kill(name)
