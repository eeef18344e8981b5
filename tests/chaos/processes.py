"""Processes of an installation, restarted whenever they end unless a fault holds them down.

`peyvand up` and systemd restart them likewise.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.support.nats import WITH_US
from tests.support.paths import ROOT

_POLL_SECONDS = 0.05
_RESTART_SECONDS = 0.5


class Managed:
    """One process. ``exits`` lists the ends that no fault caused: the time and the last line that it wrote."""

    def __init__(
        self, name: str, command: Sequence[str], log: Path, *, environment: Mapping[str, str] | None = None
    ) -> None:
        self.name = name
        self.command = [*WITH_US, *command]
        self.environment = dict(environment or {})
        self.exits: list[tuple[float, str]] = []
        self._log = log
        self._held = 0
        self._killed = False
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def running(self) -> bool:
        """Whether it runs, stopped by a signal or not."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start it."""
        self._killed = False
        self._process = self.spawn()

    def spawn(self, *flags: str) -> subprocess.Popen[bytes]:
        """Start one more process of the same command. The caller must end it."""
        with self._log.open("ab") as log:
            return subprocess.Popen(
                [*self.command, *flags],
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'proto'}", **self.environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    async def keep(self) -> None:
        """Start it again whenever it has ended, until cancelled."""
        while True:
            await asyncio.sleep(_POLL_SECONDS)
            if self.running or self._held:
                continue
            if not self._killed:
                self.exits.append((time.time(), self.last_line()))
            await asyncio.sleep(_RESTART_SECONDS)
            if not self._held:
                self.start()

    def kill(self) -> None:
        """Kill it, and wait until it is gone."""
        self._killed = True
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    async def end(self, seconds: float) -> None:
        """Stop it as an operator does, by SIGTERM, and kill it if it does not end in time."""
        self._killed = True
        self.signal(signal.SIGTERM)
        if self._process is not None:
            with suppress(subprocess.TimeoutExpired):
                await asyncio.to_thread(self._process.wait, seconds)
        self.kill()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, if it still runs."""
        if self._process is not None and self.running:
            with suppress(ProcessLookupError):
                self._process.send_signal(number)

    @contextmanager
    def held_down(self) -> Iterator[None]:
        """Kill it, and leave it down as long as the context lasts."""
        self._held += 1
        self.kill()
        try:
            yield
        finally:
            self._held -= 1

    def last_line(self) -> str:
        """Return the last line of its log."""
        with self._log.open("rb") as log:
            log.seek(max(0, self._log.stat().st_size - 4096))
            lines = log.read().decode("utf-8", "replace").splitlines()
        return lines[-1] if lines else ""
