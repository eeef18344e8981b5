"""A real installation on this machine: a bus, a sandbox that tells the truth, and every component as a process."""

from __future__ import annotations

import asyncio
import math
import os
import shutil
import signal
import sys
import time
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import grpc

from services.cli.bus_disk import keep_writable
from services.core.bus.topology import initialise_streams
from services.core.files import write_secret
from services.core.model import Register
from services.dataset.log import SigningKey
from services.register.bus import publish_register
from services.register.directory import load_register
from tests.chaos import clocks
from tests.chaos.disks import MountedDisk
from tests.chaos.namespaces import Hosts
from tests.chaos.processes import Managed
from tests.chaos.record import Record, RecordingProxy
from tests.chaos.servers import BusServers
from tests.support.oracles.witness import Client
from tests.support.ports import free_base_port, free_port
from tests.support.processes import page
from tests.support.waiting import answered, eventually

BUS = "bus"
COMPONENTS = ("prober", "collector", "scorer", "archive", "api", "console")
VICTIMS = (BUS, *COMPONENTS)
KEEPERS = (BUS, "prober", "collector", "scorer", "archive")
"""The victims that store data on a disk."""

SLOT = 2
"""Seconds of a slot, the shortest that the sandbox supports."""

_PUNCTUAL = ["chrt", "--rr", "1"] if shutil.which("chrt") and os.geteuid() == 0 else []
"""Prefix of the sandbox's command, so that it answers in time on a busy machine. Otherwise its truth would be false."""

_LOOK_SECONDS = 0.2
_START_SECONDS = 180.0


@dataclass(frozen=True, slots=True)
class Abilities:
    """What an installation needs for its faults: disks that forget, clocks that step, a cluster of three hosts."""

    disks: bool = False
    clocks: bool = False
    network: bool = False


@dataclass
class World:
    """The running installation in a folder."""

    folder: Path
    seed: int
    abilities: Abilities
    record: Record = field(default_factory=Record)
    processes: dict[str, Managed] = field(default_factory=dict)
    proxies: dict[str, RecordingProxy] = field(default_factory=dict)
    disks: dict[str, MountedDisk] = field(default_factory=dict)
    clocks: dict[str, Path] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    until_sealed: set[Path] = field(default_factory=set)
    """Segments that were damaged when they were too old to be read at startup. The archive notices when it seals their day."""
    lacking: str = ""
    """What was not healthy at the last check."""
    hosts: Hosts | None = None
    servers: BusServers = field(init=False)
    register: Register = field(init=False)
    client: Client = field(init=False)

    def __post_init__(self) -> None:
        self.ports = {name: free_port() for name in ("grpc", "pages", "sandbox", *COMPONENTS)}

    @property
    def sandbox(self) -> Path:
        """The folder of the sandbox, with its truth and its register."""
        return self.folder / "sandbox"

    @property
    def dataset(self) -> Path:
        """The archive's dataset."""
        return self.folder / "archive" / "dataset"

    @property
    def links(self) -> list[str]:
        """The links that are built, and so measured."""
        return [link.id for link in self.register.links.values() if link.live_from is not None]

    @property
    def watched(self) -> list[str]:
        """A link of each consumer."""
        by_consumer = {
            self.register.services[link.service].agency: link.id
            for link in self.register.links.values()
            if link.live_from
        }
        return list(by_consumer.values())

    def process_of(self, victim: str, number: int) -> str:
        """Return the name of the process that the fault of this number hits; for the bus, one of its servers."""
        return self.servers.names[number % len(self.servers.names)] if victim == BUS else victim

    def folder_of(self, name: str) -> Path:
        """Return the folder where a process stores its data."""
        return self.servers.store(name) if name in self.servers.names else self.folder / name

    async def start(self, stack: AsyncExitStack) -> None:
        """Start everything and wait until an index is published. ``stack`` ends everything."""
        if self.abilities.network:
            self.hosts = Hosts()
            stack.callback(self.hosts.close)
        self.servers = BusServers(self.folder / "servers", self.hosts)
        if self.abilities.disks:
            for name in (*self.servers.names, *(one for one in KEEPERS if one != BUS)):
                self.disks[name] = MountedDisk(self.folder_of(name))
                stack.callback(self.disks[name].unmount)
        stack.callback(self._kill_all)
        for name in self.servers.names:
            self._start(name, self.servers.command(name))
        async with self.servers.connect("admin") as bus:
            await answered(lambda: initialise_streams(bus, replicas=self.servers.replicas))
        await self._start_sandbox()
        await self._start_components(stack)
        keepers = [process.keep() for process in self.processes.values()]
        keepers += [self._keep_writable(name) for name in self.servers.names]
        for keeper in keepers:
            stack.callback(asyncio.ensure_future(keeper).cancel)
        self.client = Client(f"127.0.0.1:{self.ports['grpc']}")
        stack.callback(self.client.close)
        if await self.recovered(time.time(), seconds=_START_SECONDS) is None:
            raise AssertionError(f"nothing was published within {_START_SECONDS:.0f} s; logs are in {self.folder}")

    async def _start_sandbox(self) -> None:
        flags = {"slot": SLOT, "seed": self.seed, "base_port": free_base_port()}
        command = self._component("sandbox", self.servers.credentials, "nats://127.0.0.1:1", flags)
        self._start("sandbox", [*_PUNCTUAL, *command])
        await eventually(lambda: self._is_serving("sandbox"), "the sandbox served")
        self.register = load_register(self.sandbox / "register")
        async with self.servers.connect("register") as bus:
            await answered(lambda: publish_register(bus, self.register, now=time.time()))

    async def _start_components(self, stack: AsyncExitStack) -> None:
        key = self.folder / "archive.key"
        write_secret(key, SigningKey.generate("localhost/chaos").text().encode())
        api, pages = (f"127.0.0.1:{self.ports[name]}" for name in ("grpc", "pages"))
        flags: dict[str, dict[str, object]] = {
            "prober": {"probe_files": self.sandbox / "register", "prober": "main-1"},
            "collector": {"sources": self.sandbox / "sources.yaml"},
            "scorer": {"archive": self.dataset},
            "archive": {"archive_key": key, "segment_seconds": 1},
            "api": {"listen": api, "archive": self.dataset},
            "console": {"console": pages, "api": api},
        }
        for name in COMPONENTS:
            proxy = self.proxies[name] = RecordingProxy(self.record, self.servers.next_address)
            await proxy.start()
            stack.push_async_callback(proxy.stop)
            environment = {}
            if self.abilities.clocks:
                self.clocks[name] = self.folder / f"{name}.clock"
                clocks.step(self.clocks[name], 0.0)
                environment = clocks.environment(self.clocks[name])
            self._start(name, self._component(name, self.servers.credentials, proxy.url, flags[name]), environment)

    def _component(self, name: str, credentials: Path, nats: str, flags: Mapping[str, object]) -> list[str]:
        where = {"nats": nats, "credentials": credentials, "data": self.folder / name}
        settings = {**where, "metrics": f"127.0.0.1:{self.ports[name]}", **flags}
        words = [f"--{setting.replace('_', '-')}={value}" for setting, value in settings.items()]
        return [sys.executable, "-m", f"services.{name}", *words]

    def _start(self, name: str, command: Collection[str], environment: dict[str, str] | None = None) -> None:
        logs = self.folder / "logs"
        logs.mkdir(exist_ok=True)
        self.processes[name] = Managed(name, [*command], logs / f"{name}.log", environment=environment)
        self.processes[name].start()

    async def _keep_writable(self, name: str) -> None:
        """Restart a server whose disk was full, as `peyvand up` does."""
        restart = partial(self.processes[name].signal, signal.SIGTERM)
        await keep_writable(self.servers.health(name), self.servers.store(name), restart)

    def _kill_all(self) -> None:
        for process in self.processes.values():
            process.kill()

    async def serving(self, name: str) -> None:
        """Wait until a component says that it serves."""
        await eventually(lambda: asyncio.to_thread(self._is_serving, name), f"{name} served")

    def _is_serving(self, name: str) -> bool:
        return page(f"127.0.0.1:{self.ports[name]}", "/health")[0] == 200

    async def recovered(self, since: float, *, seconds: float) -> float | None:
        """Wait until a whole slot that began after ``since`` is published and was measured, and everything serves.

        Return the time of that, or None if it did not happen within ``seconds``.
        """
        first = math.ceil(since / SLOT)
        until = time.time() + seconds
        while time.time() < until:
            self.lacking = await asyncio.to_thread(self._lacks, first)
            if not self.lacking:
                return time.time()
            await asyncio.sleep(_LOOK_SECONDS)
        return None

    def _lacks(self, first: int) -> str:
        """Return what is not healthy yet, "" once a whole slot from ``first`` on is published and everything serves."""
        down = [name for name, process in self.processes.items() if not process.running]
        if down:
            return f"{', '.join(down)} does not run"
        try:
            government = self.client.government()
            end = 0 if government is None else government.as_of.seconds // SLOT
            if end <= first:
                return f"no index since slot {first}: the last one is as of slot {end}"
            # An index by a clock that was ahead has slots that the api does not show.
            shown = {link for link in self.watched for slot in self.client.slots(link, end - 1, SLOT) if slot.vantages}
        except grpc.RpcError as error:
            return f"the api answers with {error}"
        if unmeasured := sorted(set(self.watched) - shown):
            return f"slot {end - 1} of {', '.join(unmeasured)} is not shown as measured"
        waiting = [name for name in COMPONENTS if not self._is_serving(name)]
        if waiting:
            return f"{', '.join(waiting)} does not serve"
        return "" if self._shows_pages() else "the console shows no page"

    def _shows_pages(self) -> bool:
        try:
            with urlopen(f"http://127.0.0.1:{self.ports['pages']}/", timeout=5.0) as answer:
                return bool(answer.status == 200)
        except (URLError, OSError):
            return False


@asynccontextmanager
async def running_world(folder: Path, seed: int, abilities: Abilities) -> AsyncIterator[World]:
    """Run an installation in an empty folder."""
    async with AsyncExitStack() as stack:
        world = World(folder, seed, abilities)
        await world.start(stack)
        yield world
