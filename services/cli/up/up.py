"""Starts the whole system on this machine, shows it, and stops it."""

from __future__ import annotations

import asyncio
import shutil
import signal
import socket
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from services.cli.connections import fetch_local
from services.cli.up.monitor import Monitor
from services.cli.up.processes import SupervisedProcess, component_command, running
from services.core import log as logs
from services.core.bus import (
    adopt_streams,
    connect,
    find_server,
    initialise_streams,
    server_configuration,
    write_configuration,
    write_users,
)
from services.core.errors import ListenError, SettingsError
from services.core.files import lock
from services.register.bus import publish_register
from services.register.directory import load_register

_POLL_SECONDS = 0.05
_SANDBOX_ALIAS = "civil-registration"  # the real exchange sample is one member calling itself; this agency answers it
_COMPONENTS = {"prober": 11, "scorer": 12, "collector": 13, "api": 14, "sandbox": 16}
"""Offset of each component's /metrics port from the first port; gRPC is the first port itself, NATS the third."""


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
    def nats_port(self) -> int:
        """Where the bus listens."""
        return self.first_port + 2

    @property
    def nats(self) -> str:
        """The URL of the bus."""
        return f"nats://127.0.0.1:{self.nats_port}"

    def metrics(self, component: str) -> str:
        """Where a component serves /metrics and /health."""
        return f"127.0.0.1:{self.first_port + _COMPONENTS[component]}"

    @property
    def components(self) -> list[str]:
        """The components to start, in this order: beside a register of one's own no sandbox, and no collector without logs."""
        idle = set() if self.register is None else {"sandbox"}
        if self.register is not None and self.exchanges is None and self.sources is None:
            idle.add("collector")
        return [name for name in _COMPONENTS if name not in idle]


def _check_ports(plan: SystemPlan) -> None:
    ports = {plan.first_port: "api", plan.nats_port: "the message bus"}
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


@contextmanager
def _locked(data: Path) -> Iterator[int]:
    """Lock the data folder, for one ``peyvand up`` and its children at a time; yield the descriptor that holds the lock."""
    try:
        data.mkdir(parents=True, exist_ok=True)
        held = lock(data / "lock")
    except BlockingIOError as error:
        raise SettingsError(
            f"{data} is in use by another `peyvand up`: end it, or name another folder with --data"
        ) from error
    except OSError as error:
        raise SettingsError(
            f"{data} cannot be used as a folder of state: {error.strerror}; name one with --data"
        ) from error
    with held:
        yield held.fileno()


def _prepare(plan: SystemPlan) -> None:
    """Empty the folder of a sandbox, which a marker names as such; evidence of a real register is never removed."""
    marker = plan.data / "sandbox-data"
    state = [path for path in plan.data.iterdir() if path.name not in ("lock", marker.name)]
    if plan.register is None:
        if state and not marker.exists():
            raise SettingsError(f"{plan.data} holds the evidence of a real register: name another folder with --data")
        for path in state:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        marker.touch()
    elif marker.exists():
        raise SettingsError(f"{plan.data} holds a sandbox: name another folder with --data, or remove it")


def _processes(plan: SystemPlan, held: int) -> tuple[SupervisedProcess, list[SupervisedProcess]]:
    credentials = plan.data / "credentials"
    users = write_users(credentials)
    config = plan.data / "nats.conf"
    store = (plan.data / "nats").absolute()
    names = {"vantage": "main", "bus": "xroad"}
    write_configuration(
        config, server_configuration(host="127.0.0.1", port=plan.nats_port, store=store, users=users, **names)
    )
    adopt_streams(store)
    log_folder = plan.data / "logs"
    server = SupervisedProcess("nats-server", [find_server(), "-c", str(config)], log_folder / "nats-server.log", held)
    collected: dict[str, object] = {}
    needs: dict[str, Path] = {}
    if plan.exchanges is not None:
        collected = {"replay": plan.exchanges, "alias": _SANDBOX_ALIAS if plan.register is None else ""}
    elif plan.sources is not None:
        collected = {"sources": plan.sources}
    elif plan.register is None:
        needs["collector"] = plan.data / "sandbox" / "sources.yaml"
        collected = {"sources": needs["collector"]}
    flags: dict[str, Mapping[str, object]] = {
        "api": {"listen": plan.api},
        "prober": {"probe_files": (plan.register or plan.data / "sandbox" / "register").absolute()},
        "collector": collected,
        "sandbox": plan.sandbox,
    }
    components = []
    for name in plan.components:
        common = {
            "nats": plan.nats,
            "credentials": credentials,
            "data": plan.data / name,
            "metrics": plan.metrics(name),
        }
        command = component_command(name, {**common, **flags.get(name, {})})
        components.append(SupervisedProcess(name, command, log_folder / f"{name}.log", held, needs.get(name)))
    return server, components


def _is_serving(address: str) -> bool:
    try:
        fetch_local(address, "/health", timeout=1)
    except OSError:
        return False
    return True


async def _publish_and_show(plan: SystemPlan, monitor: Monitor) -> None:
    """Initialise the bus, put the register in force, and show the system."""
    credentials = plan.data / "credentials"
    async with connect(plan.nats, role="admin", credentials=credentials, name="up") as bus:
        await initialise_streams(bus)
    if plan.register is None:
        while not await asyncio.to_thread(_is_serving, plan.metrics("sandbox")):  # noqa: ASYNC110  # another process
            await asyncio.sleep(_POLL_SECONDS)
    register = load_register(plan.register or plan.data / "sandbox" / "register")
    async with connect(plan.nats, role="register", credentials=credentials, name="up") as bus:
        await publish_register(bus, register, now=time.time())
    await monitor.show(register)


@asynccontextmanager
async def _stop_event(seconds: float | None) -> AsyncIterator[asyncio.Event]:
    """Yield an event that is set by Ctrl-C, by SIGTERM, or after ``seconds``."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    timer = None if seconds is None else loop.call_later(seconds, stop.set)
    try:
        yield stop
    finally:
        if timer is not None:
            timer.cancel()


async def run(plan: SystemPlan) -> None:
    """Start everything, show it, and stop it. Raises PeyvandError when something cannot be started or kept up."""
    logs.configure_logging("cli", "error")  # errors are printed as one sentence
    if plan.register is not None:
        load_register(plan.register)  # refuse a bad register before anything starts
    with _locked(plan.data) as held:
        _check_ports(plan)
        _prepare(plan)
        server, components = _processes(plan, held)
        started = time.time()
        async with _stop_event(plan.seconds) as stop, running(server, components) as supervisors:
            monitor = Monitor(plan.api, plan.metrics, [server, *components], started)
            tasks = [asyncio.create_task(_publish_and_show(plan, monitor)), asyncio.create_task(stop.wait())]
            try:
                done, _ = await asyncio.wait([*tasks, *supervisors], return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
            for task in done:
                task.result()
    missing = "" if monitor.has_result else "; no index was published yet, which takes one whole slot"
    print(f"Ended. Evidence, logs and truth stay in {plan.data}{missing}.")
