"""One prober probes the links of a country, though some of them never answer."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

import pytest

from services.core.bus import Bus
from services.core.bus.names import MEASUREMENTS
from services.core.codec import decode_measurements
from services.core.model.measurement import Measurement
from services.core.model.outcome import Reason
from services.register.bus.publish import publish_register
from services.register.directory.load import load_register
from tests.support.paths import ROOT
from tests.support.ports import free_port
from tests.support.registers import register_files, write_register
from tests.support.waiting import DEADLINE, eventually

COUNT = 10_000
HUNG_EACH = 100
SLOT = 16
SLOTS = 3
AGENCIES = 50
ADDRESSES = 32


def _name(number: int) -> str:
    return f"link-{number:05d}"


HUNG = {_name(number) for number in range(0, COUNT, HUNG_EACH)}


def _exposed(metrics: str) -> dict[str, str]:
    with urlopen(f"http://{metrics}/metrics", timeout=DEADLINE) as answer:
        lines = answer.read().decode().splitlines()
    return dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))


@contextmanager
def _process(folder: Path, name: str, *arguments: str) -> Iterator[Path]:
    """Run a module; yield the file with its output."""
    path = folder / f"{name}.log"
    with path.open("w") as log:
        process = subprocess.Popen([sys.executable, "-m", *arguments], cwd=ROOT, stdout=log, stderr=log)
    try:
        yield path
    finally:
        process.kill()
        process.wait()


async def _ports(path: Path) -> tuple[int, int]:
    """Return the two ports that the targets print."""
    await eventually(lambda: path.read_text().endswith("\n"), path.read_text)
    healthy, hung = map(int, path.read_text().split())
    return healthy, hung


def _write(folder: Path, healthy: int, hung: int) -> Path:
    """Write a register of 10,000 links between 50 agencies; one in a hundred leads to the port that never answers."""
    files = register_files()
    consumers = "".join(f"agency-{n},A{n},آ{n},economy\n" for n in range(AGENCIES))
    services = "".join(f"service-{n},agency-{n},S{n},س{n}\n" for n in range(AGENCIES))
    rows = (
        f"{_name(n)},service-{n % AGENCIES},agency-{(n + 1) % AGENCIES},item-{n},always,page,"
        f"http://127.0.1.{n % ADDRESSES + 1}:{hung if n % HUNG_EACH == 0 else healthy}/{n}\n"
        for n in range(COUNT)
    )
    policy = files["policy.yaml"].replace("slot_seconds: 300", f"slot_seconds: {SLOT}").replace("bus: bus\n", "")
    return write_register(
        folder,
        base=f"http://127.0.1.1:{healthy}",
        agencies_csv="id,name_en,name_fa,sector\n" + consumers,
        services_csv="id,agency,name_en,name_fa\n" + services,
        links_csv="id,service,provider,data_item,live_from,probe,target\n" + "".join(rows),
        endpoints_csv="id,agency,service,probe,target,params,vantages\n",
        probes_yaml="page: {kind: http, timeout: 4s}\n",
        policy_yaml=policy.replace("id: north", "id: main").replace(
            "http://127.0.0.1:7500", f"http://127.0.1.1:{healthy}"
        ),
    )


async def _batches(bus: Bus) -> AsyncIterator[list[Measurement]]:
    """Yield measurements as they arrive, until the time limit of the test."""
    end, sequence = time.monotonic() + (SLOTS + 4) * SLOT, 0
    while time.monotonic() < end:
        messages = await bus.read(MEASUREMENTS, sequence + 1)
        if not messages:
            await asyncio.sleep(0.5)
            continue
        sequence = messages[-1].sequence
        yield [row for message in messages for row in decode_measurements(message.data)]


async def _three_slots(bus: Bus) -> dict[int, list[Measurement]]:
    """Return every measurement of the first three slots that were probed from their beginning, by slot."""
    slots: dict[int, list[Measurement]] = {}
    async for rows in _batches(bus):
        for row in rows:
            slots.setdefault(row.slot_start, []).append(row)
        first = min(slots)
        whole = {slot: slots[slot] for slot in sorted(slots) if first < slot <= first + SLOTS * SLOT}
        if len(whole) == SLOTS and all(len(of_slot) >= COUNT for of_slot in whole.values()):
            return whole
    told = {slot: Counter(row.reason.name for row in of_slot) for slot, of_slot in slots.items()}
    pytest.fail(f"three slots of {COUNT} links were not measured in time: {told}")


@pytest.mark.slow
async def test_39_ten_thousand_targets_with_one_in_a_hundred_hung(nats, tmp_path: Path) -> None:
    """In each of three slots every healthy link is OK exactly once and every hung one times out, so nothing is shed.

    In the slot before, the prober catches up with what was due before it started. What is too much for it is shed.
    """
    metrics = f"127.0.0.1:{free_port()}"
    where = ("--nats", nats.url, "--credentials", str(nats.credentials), "--data", str(tmp_path / "data"))
    with _process(tmp_path, "targets", "tests.support.servers.many_targets") as targets:
        register = load_register(_write(tmp_path / "register", *await _ports(targets)))
        async with nats.connect("register") as owner, nats.connect("scorer") as bus:
            await publish_register(owner, register, now=time.time())
            with _process(tmp_path, "prober", "services.prober", *where, "--metrics", metrics):
                slots = await _three_slots(bus)
                exposed = await asyncio.to_thread(_exposed, metrics)
    for rows in slots.values():
        counts = Counter(row.target.id for row in rows)
        assert len(counts) == COUNT
        assert set(counts.values()) == {1}
        wrong = Counter(
            (row.reason.name, row.detail)
            for row in rows
            if row.reason is not (Reason.ANSWER_TIMEOUT if row.target.id in HUNG else Reason.OK)
        )
        assert not wrong, wrong.most_common(5)
    assert float(exposed["peyvand_probe_schedule_lag_seconds_count"]) >= SLOTS * COUNT
