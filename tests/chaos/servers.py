"""The servers of the bus: one on loopback, or three that each have a host of their own."""

from __future__ import annotations

import itertools
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from services.core.bus import Bus, connect
from services.core.bus.roles import write_users
from services.core.bus.server import find_server, server_configuration, write_configuration
from tests.chaos.namespaces import NODES, Hosts
from tests.support.ports import free_port

_ROUTES = 6222


class BusServers:
    """Names, addresses and command lines of the servers, whose configurations are written to a folder."""

    def __init__(self, folder: Path, hosts: Hosts | None) -> None:
        self.folder = folder
        self.credentials = folder / "credentials"
        self.names = ["bus"] if hosts is None else [f"bus-{number}" for number in range(NODES)]
        self._hosts = hosts
        self._port, self._health = free_port(), free_port()
        self._turns = itertools.count()
        users = write_users(self.credentials)
        for number, name in enumerate(self.names):
            host, port = self._address(number)
            text = server_configuration(
                host=host,
                port=port,
                store=self.store(name),
                users=users,
                vantage="main",
                bus="xroad",
                health=self.health(name),
            )
            write_configuration(self._file(name), text if hosts is None else self._joined(text, number))

    @property
    def replicas(self) -> int:
        """The number of copies of a stream."""
        return len(self.names)

    def store(self, name: str) -> Path:
        """Return the folder in which a server keeps the streams."""
        return self.folder / name

    def health(self, name: str) -> str:
        """Return HOST:PORT of a server's /healthz."""
        return f"{self._address(self.names.index(name))[0]}:{self._health}"

    def command(self, name: str) -> Sequence[str]:
        """Return the command line of a server."""
        within = [] if self._hosts is None else self._hosts.within(self.names.index(name))
        return [*within, find_server(), "-c", str(self._file(name))]

    def next_address(self) -> tuple[str, int]:
        """Return the address of each server in turn."""
        return self._address(next(self._turns) % len(self.names))

    @asynccontextmanager
    async def connect(self, role: str) -> AsyncIterator[Bus]:
        """Connect in one role."""
        urls = ",".join(f"nats://{host}:{port}" for host, port in map(self._address, range(len(self.names))))
        async with connect(urls, role=role, credentials=self.credentials, name=f"chaos-{role}") as bus:
            yield bus

    def _address(self, number: int) -> tuple[str, int]:
        return ("127.0.0.1" if self._hosts is None else self._hosts.address(number)), self._port

    def _file(self, name: str) -> Path:
        return self.folder / f"{name}.conf"

    def _joined(self, text: str, number: int) -> str:
        """Return the configuration of a server in a cluster."""
        assert self._hosts is not None
        routes = [f"nats-route://{self._hosts.address(other)}:{_ROUTES}" for other in range(NODES)]
        cluster = {
            "name": "chaos",
            "listen": f"{self._hosts.address(number)}:{_ROUTES}",
            "routes": routes,
            "no_advertise": True,
        }
        return json.dumps({**json.loads(text), "server_name": self.names[number], "cluster": cluster}, indent=2)
