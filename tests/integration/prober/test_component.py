"""The prober as a process of its own, with a real register on a real bus."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from time import time
from typing import Any

import pytest

from services.core.bus import Bus
from services.core.bus.names import MEASUREMENTS, heartbeat_subject, measurement_subject, shard_of
from services.core.codec import Heartbeat, decode_heartbeat, decode_measurements
from services.core.model.measurement import Measurement
from services.core.model.outcome import Reason
from services.register.bus.publish import publish_register
from services.register.directory.load import load_register
from tests.support.forked import ForkedProcess, run
from tests.support.registers import write_register
from tests.support.servers.http_server import Request, answer, serving
from tests.support.waiting import DEADLINE, eventually

TARGETS = {
    *("birth-tax", "clearance-customs", "clearance-land", "deed-civil", "deed-tax", "permit-tax"),
    *("transfer-civil", "bus", "portal"),
}


async def _government(request: Request, writer: asyncio.StreamWriter) -> None:
    """Answer what the register of the tests expects: the requested number."""
    writer.write(answer(200, request.body or b"{}", {"Content-Type": "application/json"}))


def quick_register(folder: Path, base: str) -> Path:
    """Write the tests' register with slots of two seconds and control targets that answer."""
    return write_register(
        folder,
        base=base,
        policy_yaml=("slot_seconds: 300", "slot_seconds: 2"),
        probes_yaml=("timeout: 5s", "timeout: 900ms"),
        links_csv=(",500,,", ",400,,"),
    )


async def measured(bus: Bus, start: int = 1) -> list[tuple[str, Measurement]]:
    """Return every measurement on the bus with its subject."""
    found = []
    while messages := await bus.read(MEASUREMENTS, start):
        for message in messages:
            found += [(message.subject, row) for row in decode_measurements(message.data)]
        start = messages[-1].sequence + 1
    return found


async def until(bus: Bus, enough: Callable[[list[Measurement]], bool]) -> list[Measurement]:
    """Wait for enough measurements on the bus."""

    async def look() -> list[Measurement]:
        rows = [row for _, row in await measured(bus)]
        return rows if enough(rows) else []

    return await eventually(look, "enough measurements")


def start(nats: Any, data: Path, metrics: int) -> ForkedProcess:
    """Start a prober process."""
    flags = {
        "--nats": nats.url,
        "--credentials": nats.credentials,
        "--data": data,
        "--metrics": f"127.0.0.1:{metrics}",
        "--vantage": "main",
        "--prober": "p1",
    }
    argv = [part for pair in flags.items() for part in pair]
    return ForkedProcess("services.prober", *argv, stdout=data.parent / "prober.log")


def ask(port: int, path: str) -> str:
    """Return the text of /health or /metrics; empty while the process does not answer yet."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=2) as response:
            return str(response.read().decode())
    except urllib.error.HTTPError as error:
        return str(error.read().decode())
    except OSError:
        return ""


@asynccontextmanager
async def scene(nats: Any, tmp_path: Path) -> AsyncIterator[tuple[Bus, str]]:
    """Put a register in force whose targets answer and whose vantage is the bus's."""
    async with serving(_government) as server, nats.connect("register") as owner, nats.connect("scorer") as bus:
        folder = quick_register(tmp_path / "register", server.url().rstrip("/"))
        policy = folder / "policy.yaml"
        text = policy.read_text().replace("id: north", "id: main")
        policy.write_text(text.replace("default_latency_ms: 2000", "default_latency_ms: 400"))
        links = folder / "links.csv"
        links.write_text(links.read_text().replace("north; south", "main; south").replace(",north,", ",main,"))
        await publish_register(owner, load_register(folder), now=time())
        yield bus, server.url()


async def stopped(process: ForkedProcess) -> int:
    """Stop the process and return its exit code."""
    process.send_signal(signal.SIGTERM)
    return await asyncio.to_thread(process.wait, DEADLINE)


async def _sharing(beats: AsyncIterator[bytes]) -> Heartbeat:
    """Return the first heartbeat of a prober that probes."""
    async for payload in beats:
        if (heard := decode_heartbeat(payload)).share_from is not None:
            return heard
    raise AssertionError("the bus ended")


async def test_a_prober_measures_and_stops_in_order(nats: Any, tmp_path: Path, port: Callable[[], int]) -> None:
    """A prober serves after its first control round, measures every slot, publishes on its own subject, sends
    heartbeats, and exits with 0.
    """
    metrics = port()
    async with scene(nats, tmp_path) as (bus, _), nats.connect("prober") as peer:
        beats = peer.listen(heartbeat_subject("main", "p1"))
        beat = asyncio.create_task(_sharing(beats))
        process = start(nats, tmp_path / "data", metrics)
        try:
            # On a busy machine some probes are late, and some are not made.
            rows = await until(
                bus,
                lambda rows: (
                    len({row.slot_start for row in rows}) >= 4
                    and {row.target.id for row in rows if row.reason is Reason.OK} == TARGETS
                ),
            )
            alive = await asyncio.wait_for(beat, DEADLINE)
            assert ask(metrics, "/health") == "SERVING\n"
            process.send_signal(signal.SIGUSR1)
            log = tmp_path / "prober.log"
            await eventually(lambda: "published_again" in log.read_text(), "what is kept is sent again")
            exposition = ask(metrics, "/metrics")
            code = await stopped(process)
        finally:
            process.kill()
            process.wait()
            await beats.aclose()
        subjects = {subject for subject, _ in await measured(bus)}
    assert code == 0, (tmp_path / "prober.log").read_text()
    assert {row.target.id for row in rows} == TARGETS
    assert subjects == {measurement_subject("main", shard_of("p1"))}
    assert (alive.prober, alive.targets, alive.register_version) == ("p1", 9, rows[0].register_version)
    assert 'peyvand_probe_outcomes_total{outcome="ok"}' in exposition
    assert not list((tmp_path / "data" / "spool").glob("*.batch"))


def _waiting(metrics: int) -> float | None:
    """Return how many batches the bus has not acknowledged; None while the process does not answer."""
    found = re.search(r"^peyvand_spool_batches (\S+)$", ask(metrics, "/metrics"), re.MULTILINE)
    return float(found[1]) if found else None


async def test_kill_9_and_an_outage_of_the_bus_lose_nothing(nats: Any, tmp_path: Path, port: Callable[[], int]) -> None:
    """Batches that were spooled while the bus was down survive kill -9 of the prober and arrive when both are back."""
    spool = tmp_path / "data" / "spool"
    async with scene(nats, tmp_path) as (bus, _):
        metrics, second = port(), port()
        process = start(nats, tmp_path / "data", metrics)
        try:
            await until(bus, lambda rows: len(rows) > 5)
            nats.kill()
            await eventually(lambda: (_waiting(metrics) or 0) >= 4, "batches are spooled")
            process.kill()
            process.wait()
            assert len(list(spool.glob("*.batch"))) >= 4
            nats.start()
            again = start(nats, tmp_path / "data", second)
            process = again
            await eventually(lambda: _waiting(second) == 0, "the spool is sent")
            await until(bus, lambda rows: len({row.slot_start for row in rows}) >= 5)
            assert await stopped(again) == 0
        finally:
            process.kill()
            process.wait()
        rows = [row for _, row in await measured(bus)]
    starts = sorted({row.slot_start for row in rows})
    measured_slots = {row.slot_start for row in rows if row.target.id == "bus"}
    # No slot is missing in which the bus was down and the prober up.
    assert len(measured_slots) >= len(starts) - 2


async def test_a_prober_without_a_bus_stops_at_once(tmp_path: Path, port: Callable[[], int], nats: Any) -> None:
    """A prober that waits for its bus stops on a signal, with exit code 0."""
    nats.kill()
    metrics = port()
    process = start(nats, tmp_path / "data", metrics)
    try:
        await eventually(lambda: ask(metrics, "/health") == "NOT_SERVING: waiting for the bus\n", "it does not serve")
        assert await stopped(process) == 0
    finally:
        process.kill()
        process.wait()


async def test_a_prober_without_a_bus_remembers_to_publish_again(
    tmp_path: Path, port: Callable[[], int], nats: Any
) -> None:
    """SIGUSR1 while a prober waits for its bus takes effect once the bus answers."""
    nats.kill()
    metrics = port()
    process = start(nats, tmp_path / "data", metrics)
    try:
        await eventually(lambda: ask(metrics, "/health") == "NOT_SERVING: waiting for the bus\n", "it does not serve")
        process.send_signal(signal.SIGUSR1)
        nats.start()
        log = tmp_path / "prober.log"
        await eventually(lambda: "published_again" in log.read_text(), "what is kept is sent again")
        assert await stopped(process) == 0
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("arguments", [[], ["--json"], ["--link", "deed-civil", "--link", "bus"]])
async def test_probing_once_by_hand(tmp_path: Path, arguments: list[str]) -> None:
    """`peyvand probe` reports every link and endpoint once, for people or as JSON lines, without a bus."""
    async with serving(_government) as server:
        folder = write_register(tmp_path / "register", base=server.url().rstrip("/"))
        plain = {**os.environ, "NO_COLOR": "1"}
        done = await asyncio.to_thread(run, "services.cli", "probe", folder, *arguments, environment=plain)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    if "--json" in arguments:
        assert len(lines) == 9
        assert all('"outcome": "OUTCOME_OK"' in line for line in lines)
    elif arguments:
        assert [line.split()[:2] for line in lines[:2]] == [["deed-civil", "OK"], ["bus", "OK"]]
        assert lines[2].startswith("2 probed: 2 OK")
    else:
        assert len(lines) == 10
        assert "land-registry asks civil-registry" in done.stdout
        assert lines[-1] == "9 probed: 9 OK; absent and not probed: 1"


async def test_probing_an_absent_link_by_hand(tmp_path: Path) -> None:
    """An absent or unknown link is refused with a message."""
    folder = write_register(tmp_path / "register")
    done = await asyncio.to_thread(
        run, "services.cli", "probe", folder, "--link", "transfer-customs", "--link", "nonsense"
    )
    assert done.returncode != 0
    text = " ".join(done.stderr.replace("│", " ").split())
    assert "transfer-customs: the link is absent, documented as not built" in text
    assert "nonsense: the register has no such link or endpoint" in text
