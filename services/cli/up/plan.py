"""Decides what ``peyvand up`` runs, and the ports that it takes."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from services.core.errors import ListenError

_COMPONENTS = {"prober": 11, "scorer": 12, "collector": 13, "api": 14, "console": 15, "sandbox": 16, "archive": 17}
"""The offset of each component's /metrics port from the first port.

The first port is that of gRPC, the second that of the console, the third that of NATS, and the fourth that of the
health of nats-server.
"""


@dataclass(frozen=True, slots=True)
class SystemPlan:
    """What to run. ``register`` is None for the sandbox, which has flags; ``seconds`` None means until Ctrl-C.

    ``exchanges`` is a log to replay, ``sources`` the list of what the collector reads.
    """

    data: Path
    register: Path | None
    sandbox: Mapping[str, object]
    first_port: int
    seconds: float | None
    exchanges: Path | None
    sources: Path | None

    @property
    def api(self) -> str:
        """Where gRPC listens."""
        return f"127.0.0.1:{self.first_port}"

    @property
    def console(self) -> str:
        """Where the console listens."""
        return f"127.0.0.1:{self.first_port + 1}"

    @property
    def nats_port(self) -> int:
        """Where the bus listens."""
        return self.first_port + 2

    @property
    def nats_health(self) -> str:
        """Where nats-server reports its health."""
        return f"127.0.0.1:{self.first_port + 3}"

    @property
    def nats_store(self) -> Path:
        """The folder of the streams."""
        return (self.data / "nats").absolute()

    @property
    def nats(self) -> str:
        """The URL of the bus."""
        return f"nats://127.0.0.1:{self.nats_port}"

    def metrics(self, component: str) -> str:
        """Where a component serves /metrics and /health."""
        return f"127.0.0.1:{self.first_port + _COMPONENTS[component]}"

    @property
    def components(self) -> list[str]:
        """The components to start, in order: no sandbox beside a given register, and then no collector without logs."""
        idle = set() if self.register is None else {"sandbox"}
        if self.register is not None and self.exchanges is None and self.sources is None:
            idle.add("collector")
        return [name for name in _COMPONENTS if name not in idle]


def check_ports(plan: SystemPlan) -> None:
    """Raise ListenError when a port is taken."""
    ports = {plan.first_port: "api", plan.first_port + 1: "console", plan.nats_port: "the message bus"}
    ports[plan.nats_port + 1] = "the message bus's health"
    ports |= {plan.first_port + _COMPONENTS[name]: f"{name} metrics" for name in plan.components}
    for port, what in ports.items():
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError as error:
                raise ListenError(
                    f"port {port} of 127.0.0.1 ({what}) is taken{_holder(port)}: end the process that listens there, "
                    "perhaps another `peyvand up`, or choose other ports with --first-port"
                ) from error


def _holder(port: int) -> str:
    """Name the process that listens on a port, where the kernel lets us see it."""
    with suppress(psutil.Error):
        for connection in psutil.net_connections("tcp"):
            listens = connection.status == psutil.CONN_LISTEN and connection.laddr[1:] == (port,)
            if listens and connection.pid:
                return f" by process {connection.pid}, {psutil.Process(connection.pid).name()}"
    return ""
