"""Run components as processes beside a nats-server, for benchmarks."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from tests.support.nats import Nats
from tests.support.ports import free_port

__all__ = ["Component", "component"]

WAIT_SECONDS = 1200.0


@dataclass(frozen=True, slots=True)
class Component:
    """A component that runs as process ``pid``, and HOST:PORT of its health."""

    pid: int
    page: str

    async def serving(self) -> None:
        """Wait until its health says that it serves."""

        def healthy() -> bool:
            try:
                with urlopen(f"http://{self.page}/health", timeout=30) as answer:
                    return bool(answer.status == 200)
            except (URLError, TimeoutError):
                return False

        async with asyncio.timeout(WAIT_SECONDS):
            while not await asyncio.to_thread(healthy):  # noqa: ASYNC110  # another process's state sends no event
                await asyncio.sleep(0.1)


@contextmanager
def component(name: str, nats: Nats | None, folder: Path, **settings: object) -> Iterator[Component]:
    """Run a component with these settings (None for no bus) until the context ends. Its log goes to the folder."""
    page = f"127.0.0.1:{free_port()}"
    bus = {"nats": nats.url, "credentials": nats.credentials} if nats else {}
    flags = {**bus, "metrics": page, **settings}
    words = [word for flag, value in flags.items() for word in (f"--{flag}", str(value))]
    with (folder / f"{name}.log").open("wb") as log:
        process = subprocess.Popen([sys.executable, "-m", f"services.{name}", *words], stdout=log, stderr=log)
    try:
        yield Component(process.pid, page)
    finally:
        process.kill()
        process.wait()
