"""Starts the whole system on this machine, shows it, and stops it."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import shutil
import signal
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

from services.cli.bus_disk import keep_writable, storage_for
from services.cli.connections import fetch_local
from services.cli.up.monitor import Monitor
from services.cli.up.plan import SystemPlan, check_ports
from services.cli.up.processes import ComponentError, SupervisedProcess, flag_words, running
from services.cli.up.succession import check_evidence
from services.collector.config import read_sources
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
from services.core.errors import SettingsError
from services.core.files import owned, write_secret
from services.core.settings import load_settings
from services.dataset.log import SigningKey
from services.register.bus import publish_register
from services.register.directory import load_register

_POLL_SECONDS = 0.05
# Go collects when half as much as what is in use has been allocated; by default, as much. It takes a third less memory.
# At 220 probes/s it takes 1 % of a core. On one core it hands no work to another, which costs a fifth of that.
_SERVER_DEFAULTS = {"GOGC": "50", "GOMAXPROCS": "1"}
_SANDBOX_ALIAS = "civil-registration"  # the real exchange sample is one member calling itself; this agency answers it


def _prepare(plan: SystemPlan) -> None:
    """Empty the folder of a sandbox, which a marker names as such; evidence of a real register is never removed."""
    plan.data.chmod(0o700)  # older versions left it open to others
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
    text = server_configuration(
        host="127.0.0.1",
        port=plan.nats_port,
        store=plan.nats_store,
        users=users,
        vantage="main",
        bus="xroad",
        health=plan.nats_health,
    )
    write_configuration(config, text)
    adopt_streams(plan.nats_store)
    log_folder = plan.data / "logs"
    command = [find_server(), "-c", str(config)]
    server = SupervisedProcess("nats-server", command, log_folder / "nats-server.log", held, defaults=_SERVER_DEFAULTS)
    collected: dict[str, object] = {}
    needs: dict[str, Path] = {}
    if plan.exchanges is not None:
        collected = {"replay": plan.exchanges, "alias": _SANDBOX_ALIAS if plan.register is None else ""}
    elif plan.sources is not None:
        collected = {"sources": plan.sources}
    elif plan.register is None:
        needs["collector"] = plan.data / "sandbox" / "sources.yaml"
        collected = {"sources": needs["collector"]}
    # Where `peyvand round freeze` and `peyvand opendata export open-data` write when they are run in the same folder.
    rounds, open_data = Path("rounds").absolute(), Path("open-data").absolute()
    flags: dict[str, Mapping[str, object]] = {
        "api": {"listen": plan.api, "rounds": rounds, "archive": plan.data / "archive" / "dataset"},
        "prober": {"probe_files": (plan.register or plan.data / "sandbox" / "register").absolute()},
        "console": {"console": plan.console, "api": plan.api, "rounds": rounds, "open_data": open_data},
        "collector": collected,
        "archive": {"archive_key": _archive_key(plan.data / "archive")},
        "scorer": {"archive": plan.data / "archive" / "dataset"},
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
        command = [sys.executable, "-m", f"services.{name}", *flag_words({**common, **flags.get(name, {})})]
        components.append(SupervisedProcess(name, command, log_folder / f"{name}.log", held, needs.get(name)))
    return server, components


def _archive_key(folder: Path) -> Path:
    """Return the file of the key that signs what the archive seals; the first startup creates it."""
    file = folder / "key"
    if not file.exists():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_secret(file, SigningKey.generate("localhost/peyvand").text().encode())
    return file


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
        held = (await bus.jetstream.account_info()).storage
        await initialise_streams(bus, storage=storage_for(plan.nats_store, held))
    if plan.register is None:
        while not await asyncio.to_thread(_is_serving, plan.metrics("sandbox")):  # noqa: ASYNC110  # another process
            await asyncio.sleep(_POLL_SECONDS)
    register = load_register(plan.register or plan.data / "sandbox" / "register")
    async with connect(plan.nats, role="register", credentials=credentials, name="up") as bus:
        await publish_register(bus, register, now=time.time())
    await monitor.show(register)


@asynccontextmanager
async def _ending(seconds: float | None) -> AsyncIterator[asyncio.Future[bool]]:
    """Yield what is done when the run is to end: False on Ctrl-C or SIGTERM, True after ``seconds``."""
    loop = asyncio.get_running_loop()
    ending: asyncio.Future[bool] = loop.create_future()

    def end(*, in_time: bool) -> None:
        if not ending.done():
            ending.set_result(in_time)

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, partial(end, in_time=False))
    timer = None if seconds is None else loop.call_later(seconds, partial(end, in_time=True))
    try:
        yield ending
    finally:
        if timer is not None:
            timer.cancel()


def _check(plan: SystemPlan) -> None:
    """Refuse what a component would refuse, before anything starts. Raises InputError or SettingsError."""
    if plan.register is None:
        load_settings("sandbox", flag_words(plan.sandbox), {})
    else:
        load_register(plan.register)
    if plan.sources is not None:
        read_sources(plan.sources)
    if plan.exchanges is not None and not plan.exchanges.is_file():
        raise SettingsError(f"--exchanges {plan.exchanges} is no file: name an exchange log")


def _check_sandbox(plan: SystemPlan) -> None:
    """Refuse ports that the sandbox would find taken once all else runs. Raises ListenError or SettingsError."""
    if importlib.util.find_spec("services.sandbox") is None:  # images go without it
        raise SettingsError("the sandbox is not part of this installation: name a register with --register")
    from services.sandbox.exchanges import make_data_bus  # noqa: PLC0415
    from services.sandbox.scenario import make_scenario  # noqa: PLC0415
    from services.sandbox.servers import addresses, check_addresses  # noqa: PLC0415
    from services.sandbox.timing import slot_timing  # noqa: PLC0415

    asked = load_settings("sandbox", flag_words(plan.sandbox), {})
    times = slot_timing(asked.slot)
    scenario = make_scenario(asked.scenario, seed=asked.seed, base_port=asked.base_port, times=times)
    check_addresses(addresses(scenario, make_data_bus(scenario)))


async def run(plan: SystemPlan) -> None:
    """Start everything, show it, and stop it. Raises PeyvandError when something cannot be started or kept up.

    A run for a limited time raises ComponentError at its end if a process failed meanwhile: who limits it reads the exit
    code, not the screen.
    """
    logs.configure_logging("cli", "error")  # errors are printed as one sentence
    os.umask(0o077)  # evidence and logs of every process are this user's alone
    _check(plan)
    with owned(plan.data, "`peyvand up`") as held:
        check_ports(plan)
        if plan.register is None:
            _check_sandbox(plan)
        try:
            _prepare(plan)
            server, components = _processes(plan, held.fileno())
        except OSError as error:
            raise SettingsError(
                f"{plan.data} cannot be written: {error.strerror}; make room, or name another folder with --data"
            ) from error
        await check_evidence(plan, server)
        started = time.time()
        async with _ending(plan.seconds) as ending, running(server, components) as supervisors:
            monitor = Monitor(plan.api, plan.console, plan.metrics, [server, *components], started)
            tasks = [
                asyncio.create_task(_publish_and_show(plan, monitor)),
                asyncio.create_task(
                    keep_writable(plan.nats_health, plan.nats_store, partial(server.signal, signal.SIGTERM))
                ),
            ]
            awaited: list[asyncio.Future[Any]] = [*tasks, *supervisors, ending]
            try:
                done, _ = await asyncio.wait(awaited, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
            for ended in done - {ending}:
                ended.result()
            failed = [child.name for child in (server, *components) if child.failed]
    missing = "; no index was published yet, which takes one whole slot" if monitor.is_waiting else ""
    print(f"Ended. Evidence, logs and truth stay in {plan.data}{missing}.")
    if failed and ending in done and ending.result():
        raise ComponentError(
            f"{', '.join(failed)} failed meanwhile, so this run may lack measurements: see the logs in {plan.data / 'logs'}"
        )
