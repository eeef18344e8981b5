"""A real nats-server that a test can kill and start again."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from services.core.bus import Bus, connect
from services.core.bus.roles import write_users
from services.core.bus.server import find_server, server_configuration, write_configuration
from services.core.bus.topology import initialise_streams
from tests.support.ports import free_port
from tests.support.waiting import eventually

__all__ = ["WITH_US", "Configuration", "Nats", "port_of", "running_nats"]

Configuration: TypeAlias = dict[str, Any]

WITH_US = ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []
"""The prefix of a server's command that lets the kernel kill the server when this process ends (util-linux)."""


@dataclass
class Nats:
    """A real nats-server that can be killed and started again on the same port and store.

    ``health`` is HOST:PORT of its /healthz. If empty, it has none.
    """

    folder: Path
    port: int
    store: Path = Path()
    health: str = ""
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        self.store = self.folder / "store" if self.store == Path() else self.store

    def configure(self, vantage: str = "main") -> None:
        """Write seeds and the configuration of `peyvand up`."""
        users = write_users(self.credentials)
        text = server_configuration(
            host="127.0.0.1",
            port=self.port,
            store=self.store,
            users=users,
            vantage=vantage,
            bus="xroad",
            health=self.health,
        )
        write_configuration(self.folder / "nats.conf", text)

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self.port}"

    @property
    def credentials(self) -> Path:
        return self.folder / "credentials"

    def start(self) -> None:
        """Start the server; clients retry until it answers. The kernel kills it when this process ends."""
        command = [*WITH_US, find_server(), "-c", str(self.folder / "nats.conf")]
        with (self.folder / "nats.log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)

    def listens(self) -> bool:
        """Return whether the server takes connections."""
        with socket.socket() as client:
            return client.connect_ex(("127.0.0.1", self.port)) == 0

    def kill(self) -> None:
        """Kill the server with SIGKILL."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def pause(self) -> None:
        """Stop the server with SIGSTOP and wait until it has stopped."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)
        os.waitpid(self.process.pid, os.WUNTRACED)

    def resume(self) -> None:
        """Continue a paused server."""
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    @asynccontextmanager
    async def connect(self, role: str) -> AsyncIterator[Bus]:
        """Connect in one role."""
        async with connect(self.url, role=role, credentials=self.credentials, name=f"test-{role}") as bus:
            yield bus


@asynccontextmanager
async def running_nats(
    folder: Path, vantage: str = "main", change: Callable[[Configuration], object] = lambda _: None
) -> AsyncIterator[Nats]:
    """Run a real, initialised nats-server with one user per role. ``change`` edits its configuration."""
    server = Nats(folder, free_port())
    server.configure(vantage)
    file = folder / "nats.conf"
    configuration = json.loads(file.read_text("utf-8"))
    change(configuration)
    file.write_text(json.dumps(configuration), "utf-8")
    server.start()
    try:
        await eventually(server.listens, "the bus listened")  # a client that is refused waits for longer
        async with server.connect("admin") as bus:
            await initialise_streams(bus)
        yield server
    finally:
        server.kill()


def port_of(bus: Bus) -> int | None:
    """Return the port of the server to which a client is connected."""
    url = bus.client.connected_url
    return None if url is None else url.port
