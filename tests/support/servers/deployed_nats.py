"""nats-servers with the configuration of deploy/nats, on free ports of loopback."""

from __future__ import annotations

import asyncio
import atexit
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

from services.core.bus import Bus, connect
from services.core.bus.encryption import BusEncryption
from services.core.bus.server import find_server
from services.core.bus.topology import initialise_streams
from services.core.errors import BusError
from tests.support.forked import run
from tests.support.forked_command import forked_peyvand
from tests.support.paths import ROOT
from tests.support.ports import free_port

PEYVAND = Path(sys.executable).parent / "peyvand"
VANTAGES = ("north", "south")
_RELOAD_SECONDS = 30.0


@cache
def prepared(hosts: str) -> Path:
    """Make certificates, seeds and users as an operator does. Return their folder, which is to be copied.

    The script starts openssl several times, so servers of the same hosts have what it made once.
    """
    folder = Path(mkdtemp())
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    environ = {
        **os.environ,
        "PEYVAND": str(forked_peyvand()),
        "VANTAGES": " ".join(VANTAGES),
        "HOSTS": hosts,
        "OWNER": str(os.getuid()),
    }
    subprocess.run([ROOT / "deploy" / "prepare.sh", folder], env=environ, check=True, capture_output=True)
    return folder


@dataclass
class Deployed:
    """One or three nodes of a configuration of deploy/nats. Only paths and ports differ."""

    folder: Path
    config: str
    nodes: int = 1
    ports: list[int] = field(default_factory=list)
    routes: list[int] = field(default_factory=list)
    health: list[str] = field(default_factory=list)
    running: dict[int, subprocess.Popen[bytes]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # Servers of a cluster know each other by name. A single server is reached only by its address.
        shutil.copytree(prepared("127.0.0.1" if self.nodes == 1 else "127.0.0.1 localhost"), self.secrets)
        self.ports = [free_port() for _ in range(self.nodes)]
        self.routes = [free_port() for _ in range(self.nodes)]
        self.health = [f"127.0.0.1:{free_port()}" for _ in range(self.nodes)]
        text = (ROOT / "deploy" / "nats" / self.config).read_text("utf-8")
        for node in range(self.nodes):
            here = text
            for said, meant in {
                "0.0.0.0:4222": f"127.0.0.1:{self.ports[node]}",
                "0.0.0.0:6222": f"127.0.0.1:{self.routes[node]}",
                "0.0.0.0:8222": self.health[node],
                "127.0.0.1:8222": self.health[node],
                "/etc/peyvand/nats/": f"{self.folder / 'secrets' / 'nats'}/",
                "/var/lib/peyvand/nats": str(self.store(node)),
            }.items():
                here = here.replace(f'"{said}', f'"{meant}')
            self._config(node).write_text(here)
            self._take_users(node)

    @property
    def secrets(self) -> Path:
        return self.folder / "secrets"

    @property
    def users_conf(self) -> Path:
        return self.secrets / "nats" / "users.conf"

    @property
    def urls(self) -> str:
        """The value of setting `nats` for components."""
        return ",".join(f"tls://127.0.0.1:{port}" for port in self.ports)

    @property
    def environ(self) -> dict[str, str]:
        """The environment variables of a component, without its credentials."""
        return {**os.environ, "PEYVAND_NATS": self.urls, "PEYVAND_NATS_CA": str(self.secrets / "ca.pem")}

    def store(self, node: int) -> Path:
        return self.folder / f"node-{node}" / "store"

    def _config(self, node: int) -> Path:
        folder = self.folder / f"node-{node}"
        folder.mkdir(exist_ok=True)
        return folder / self.config

    def _take_users(self, node: int) -> None:
        folder = self.folder / f"node-{node}" / "nats"
        folder.mkdir(exist_ok=True)
        shutil.copy(self.users_conf, folder)

    def _command(self, node: int, *flags: str) -> tuple[list[str], dict[str, str]]:
        routes = ", ".join(f'"nats-route://localhost:{port}"' for port in self.routes)
        environ = {**os.environ, "NATS_NAME": f"nats-{node + 1}", "NATS_ROUTES": f"[{routes}]"}
        return [find_server(), *flags, "-c", str(self._config(node))], environ

    def fault(self, node: int = 0) -> str:
        """Return the errors of nats-server about the configuration, empty when it is valid."""
        command, environ = self._command(node, "-t")
        checked = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
        return checked.stderr if checked.returncode else ""

    def start(self, node: int) -> None:
        command, environ = self._command(node)
        with (self.folder / f"node-{node}" / "log").open("ab") as log:
            self.running[node] = subprocess.Popen(command, env=environ, stdout=log, stderr=log)

    def stop(self, node: int) -> None:
        """Stop a node with SIGTERM."""
        process = self.running.pop(node)
        process.terminate()
        process.wait()

    def kill(self, node: int) -> None:
        """Kill a node with SIGKILL."""
        process = self.running.pop(node)
        process.kill()
        process.wait()

    def reload(self) -> None:
        """Make every node reload its users.

        They reload twice, as peyvand-nats.service does: a new account's imports work only after a second reload.
        """
        self.take_users()
        for _ in range(2):
            logged = {node: self._reloads(node) for node in self.running}
            for process in self.running.values():
                process.send_signal(signal.SIGHUP)
            end = time.monotonic() + _RELOAD_SECONDS
            while any(self._reloads(node) == count for node, count in logged.items()):
                assert time.monotonic() < end
                time.sleep(0.02)

    def take_users(self) -> None:
        """Give every node the current users, which it reads at startup and on reload."""
        for node in range(self.nodes):
            self._take_users(node)

    def _reloads(self, node: int) -> int:
        return (self.folder / f"node-{node}" / "log").read_text("utf-8").count("Reloaded server configuration")

    def peyvand(self, user: str, *words: str) -> str:
        """Run a `peyvand` command as a user of the bus and return its output."""
        environ = {**self.environ, "PEYVAND_CREDENTIALS": str(self.secrets / "users" / user)}
        done = run("services.cli", *words, environment=environ)
        assert done.returncode == 0, done.stderr
        return done.stdout

    @asynccontextmanager
    async def connect(self, user: str, role: str = "") -> AsyncIterator[Bus]:
        """Connect as a user. The role is the name of the user unless given."""
        async with connect(
            self.urls,
            role=role or user,
            credentials=self.secrets / "users" / user,
            name=f"test-{user}",
            encryption=BusEncryption(str(self.secrets / "ca.pem")),
        ) as bus:
            yield bus


@contextmanager
def deployed(folder: Path, config: str, nodes: int = 1) -> Iterator[Deployed]:
    """Run nodes until the context ends."""
    folder.mkdir(exist_ok=True)
    servers = Deployed(folder, config, nodes)
    try:
        for node in range(nodes):
            servers.start(node)
        yield servers
    finally:
        for node in tuple(servers.running):
            servers.kill(node)


def component(servers: Deployed, user: str, name: str, *flags: str) -> tuple[Sequence[str], dict[str, str]]:
    """Return the command and the environment of one component that runs as a user of the bus."""
    environ = {**servers.environ, "PEYVAND_CREDENTIALS": str(servers.secrets / "users" / user)}
    return [str(PEYVAND), name, *flags], environ


async def initialised(admin: Bus, *, replicas: int | None = None) -> None:
    """Create every stream, once the servers have elected a leader."""
    while True:
        try:
            await initialise_streams(admin, replicas=replicas)
        except BusError:
            await asyncio.sleep(0.2)
        else:
            return
