"""The verdict of several vantages is the lower median of those that could see (docs/method.md §2)."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from peyvand.v1 import outcome_pb2
from services.core.bus import Bus
from services.register.bus.publish import publish_register
from services.register.directory.load import load_register
from tests.support.oracles.witness import Client
from tests.support.paths import ROOT
from tests.support.ports import free_port
from tests.support.registers import write_register
from tests.support.servers.http_server import Request, answer, serving
from tests.support.waiting import eventually

SLOT = 3
VANTAGES = ("north", "south", "west")
SHADOW_SECONDS = 3.0  # a change of a control target affects the probes up to this long before and after it
RIGHT, WRONG, BROKEN = answer(200, b"right"), answer(200, b"wrong"), answer(500)
SEEN = {
    "agree": {"north": RIGHT, "south": RIGHT, "west": RIGHT},
    "outvoted": {"north": RIGHT, "south": RIGHT, "west": BROKEN},
    "swayed": {"north": WRONG, "south": RIGHT, "west": RIGHT},
    "scattered": {"north": RIGHT, "south": WRONG, "west": BROKEN},
    "tied": {"north": RIGHT, "south": BROKEN},
}
"""The answer that each vantage of a link gets."""

THREE = {"agree": 5, "outvoted": 5, "swayed": 5, "scattered": 2, "tied": 1}
WITHOUT_WEST = {"agree": 5, "outvoted": 5, "swayed": 2, "scattered": 2, "tied": 1}


@pytest.fixture
def vantage() -> str:
    """The bus admits probers of every vantage."""
    return "*"


async def _site(request: Request, writer: asyncio.StreamWriter) -> None:
    """Answer each vantage as SEEN says; a vantage identifies itself by its token."""
    where = (request.header("authorization") or "").removeprefix("Bearer ")
    writer.write(SEEN[request.path.strip("/")][where])


class Control:
    """A control target that can be taken away and put back on its port."""

    def __init__(self) -> None:
        self.port = free_port()
        self._server: asyncio.Server | None = None

    async def up(self) -> None:
        self._server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", self.port)

    async def down(self) -> None:
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()


async def _publish(owner: Bus, folder: Path, base: str, controls: dict[str, Control]) -> None:
    columns = "id,service,provider,data_item,live_from,probe,target,vantages\n"
    rows = (
        f"{link},birth-certificate,tax-office,{link},always,page,{base}/{link},{'; '.join(seen)}\n"
        for link, seen in SEEN.items()
    )
    places = "".join(
        f"  - {{id: {name}, control_targets: ['tcp://127.0.0.1:{one.port}']}}\n" for name, one in controls.items()
    )
    epoch = datetime.fromtimestamp(time.time() // SLOT * SLOT, UTC).isoformat()
    write_register(
        folder,
        links_csv=columns + "".join(rows),
        endpoints_csv="id,agency,service,probe,target,params,vantages\n",
        probes_yaml="page: {kind: http, timeout: 900ms, auth: {kind: bearer, token: 'env:PROBE_WHERE'}, "
        "expect: {body: {must: [right]}}}\n",
        policy_yaml="government: {id: country, name_en: Country, name_fa: کشور}\ntimezone: Asia/Tehran\n"
        f"epoch: {epoch}\nslot_seconds: {SLOT}\nvantages:\n{places}"
        "egress: {allow: [127.0.0.0/8], allow_loopback: true}\ndefault_latency_ms: 450\n",
    )
    await publish_register(owner, load_register(folder), now=time.time())


@contextmanager
def _components(nats, folder: Path, listen: str) -> Iterator[None]:
    """A scorer, an api, and a prober at each vantage."""
    commands = {"scorer": ("scorer",), "api": ("api", "--listen", listen)}
    commands |= {name: ("prober", "--vantage", name, "--prober", f"at-{name}") for name in VANTAGES}
    processes = []
    try:
        for name, (component, *flags) in commands.items():
            where = ("--nats", nats.url, "--credentials", str(nats.credentials), "--data", str(folder / name))
            metrics = ("--metrics", f"127.0.0.1:{free_port()}")
            with (folder / f"{name}.log").open("wb") as log:
                command = [sys.executable, "-m", f"services.{component}", *where, *metrics, *flags]
                environment = {**os.environ, "PROBE_WHERE": name}
                processes.append(subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log))
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


@asynccontextmanager
async def _scene(nats, folder: Path) -> AsyncIterator[tuple[Client, dict[str, Control]]]:
    controls = {name: Control() for name in VANTAGES}
    listen = f"127.0.0.1:{free_port()}"
    async with serving(_site) as server, nats.connect("register") as owner:
        await _publish(owner, folder / "register", server.url().rstrip("/"), controls)
        with _components(nats, folder, listen):
            client = Client(listen)
            try:
                yield client, controls
            finally:
                client.close()
                for control in controls.values():
                    await control.down()


async def _published(client: Client, folder: Path, slot: int) -> None:
    """Wait until the index counts this slot; meanwhile the loop serves the probed links."""

    async def counted() -> bool:
        government = await asyncio.to_thread(client.government)
        return government is not None and government.as_of.seconds // SLOT > slot

    def missing() -> str:
        logs = "\n".join(f"--- {path.name}\n{path.read_text()[-800:]}" for path in folder.glob("*.log"))
        return f"slot {slot} is published\n{logs}"

    await eventually(counted, missing)


async def _told(client: Client, folder: Path, link: str, slot: int) -> tuple[int | None, dict[str, tuple[str, str]]]:
    """Return the stage of a slot (None = unknown), and by vantage the outcome and its reason."""
    await _published(client, folder, slot)
    told = await asyncio.to_thread(client.slot, link, slot, SLOT)
    names = {
        one.vantage: (
            outcome_pb2.Outcome.Name(one.outcome).removeprefix("OUTCOME_"),
            outcome_pb2.Reason.Name(one.reason).removeprefix("REASON_"),
        )
        for one in told.vantages
    }
    verdict = outcome_pb2.Outcome.Name(told.verdict).removeprefix("OUTCOME_")
    return (None if verdict == "UNKNOWN" else told.verdict - 2), names


def _next_slot() -> int:
    """Return the first slot that a change made now affects from its beginning."""
    return int((time.time() + SHADOW_SECONDS) // SLOT) + 1


@pytest.mark.slow
async def test_35_the_verdict_is_that_of_the_vantages_that_can_see(nats, tmp_path: Path) -> None:
    """A blind vantage is UNKNOWN/VANTAGE_BLIND, and the lower median of the others decides. When it sees again, it
    counts. When all are blind, the slot is unknown, whatever the targets answered.
    """
    async with _scene(nats, tmp_path) as (client, controls):
        for name in ("north", "south"):
            await controls[name].up()
        await _published(client, tmp_path, int(time.time()) // SLOT)
        slot = _next_slot()
        for link, stage in WITHOUT_WEST.items():
            verdict, by_vantage = await _told(client, tmp_path, link, slot)
            assert verdict == stage, (link, by_vantage)
            blind = {name for name, (_, reason) in by_vantage.items() if reason == "VANTAGE_BLIND"}
            assert blind == {"west"} & SEEN[link].keys()
            assert all(by_vantage[name][0] == "UNKNOWN" for name in blind)

        await controls["west"].up()
        slot = _next_slot()
        for link, stage in THREE.items():
            verdict, by_vantage = await _told(client, tmp_path, link, slot)
            assert verdict == stage, (link, by_vantage)
            assert by_vantage.keys() == SEEN[link].keys()
        assert by_vantage == {"north": ("OK", "OK"), "south": ("NOT_ANSWERED", "SERVER_ERROR")}

        for control in controls.values():
            await control.down()
        slot = _next_slot()
        for link, seen in SEEN.items():
            verdict, by_vantage = await _told(client, tmp_path, link, slot)
            assert verdict is None
            assert by_vantage == dict.fromkeys(seen, ("UNKNOWN", "VANTAGE_BLIND"))
