"""The sandbox as a process: truth log, restarts, ports, description and lists."""

from __future__ import annotations

import asyncio
import json
import random
import shlex
import signal
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.request import urlopen

import yaml
from prometheus_client import CollectorRegistry

from services.core.log import logger
from services.core.model.outcome import Stage
from services.core.model.register import Link, Register
from services.core.model.template import fill_placeholders
from services.core.runtime import Runtime
from services.core.settings import Settings
from services.register.directory.load import load_register
from services.sandbox.component import main
from services.sandbox.timing import slot_timing
from tests.support.doc_blocks import block
from tests.support.forked import ForkedProcess, run
from tests.support.patient_loop import wall_time
from tests.support.processes import logged, page
from tests.support.servers.sandbox_client import Seen, ask
from tests.support.waiting import DEADLINE, eventually, until

SLOT = 2
TIMES = slot_timing(SLOT)


@dataclass
class Process:
    """A sandbox in a process of its own."""

    directory: Path
    process: ForkedProcess
    metrics: str

    def read(self, name: str) -> list[dict[str, object]]:
        return logged(self.directory / name)

    def stop(self) -> int:
        """Stop it and return its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(DEADLINE)


def command(directory: Path, base_port: int, metrics: str) -> list[str]:
    flags = {"--data": str(directory), "--slot": str(SLOT), "--base-port": str(base_port), "--metrics": metrics}
    return ["services.sandbox", *(word for flag in flags.items() for word in flag)]


@contextmanager
def sandbox(directory: Path, base_port: int, metrics_port: int) -> Iterator[Process]:
    """Run a sandbox that serves; it is killed at the end if it still runs."""
    metrics = f"127.0.0.1:{metrics_port}"
    directory.mkdir(exist_ok=True)
    process = ForkedProcess(*command(directory, base_port, metrics), stdout=directory / "log")
    it = Process(directory, process, metrics)
    try:
        wait_until_serving(process, metrics, directory / "log")
        yield it
    finally:
        process.kill()
        process.wait()


def wait_until_serving(process: ForkedProcess, metrics: str, log: Path) -> None:
    def serves() -> bool:
        assert process.poll() is None, log.read_text()
        return page(metrics, "/health")[0] == 200

    until(serves, "the sandbox serves")


def judge(link: Link, seen: Seen) -> Stage:
    """Return the stage that an inquiry reached, by checks of the link's expectations that are independent of the
    prober's.
    """
    if seen.end in ("refused", "tls"):
        return Stage.NOT_CONNECTED
    if seen.end in ("hung", "closed") or seen.status >= 500:
        return Stage.NOT_ANSWERED
    expected = {name: value for name, value in link.params[0].items() if name != "item"}
    if seen.status != 200 or {name: seen.json.get(name) for name in expected} != expected:
        return Stage.INVALID
    if seen.seconds * 1000 > link.latency_ms:
        return Stage.LATE
    updated = seen.json.get("updated")
    if updated is None:
        told = parsedate_to_datetime(seen.headers["last-modified"]).timestamp()
    else:
        told = datetime.fromisoformat(updated).timestamp() if isinstance(updated, str) else float(str(updated))
    assert link.max_age_s is not None
    return Stage.STALE if wall_time() - told > link.max_age_s else Stage.OK


async def probe(register: Register, link: Link, trust: ssl.SSLContext, at: float) -> Stage:
    await asyncio.sleep(max(at - wall_time(), 0))
    definition = register.probes[link.probe]
    seen = await ask(
        fill_placeholders(link.target, link.params[0]),
        trust=trust,
        body=fill_placeholders(definition.body, link.params[0]).encode(),
        seconds=definition.timeout,
        method=definition.method,
    )
    return judge(link, seen)


def truth_of(folder: Path, slot: int) -> dict[str, Stage]:
    """Return what the truth log says about the links with a fault in a slot."""
    spans = logged(folder / "truth.ndjson")[1:]
    return {
        str(s["link"]): Stage(int(str(s["stage"]))) for s in spans if int(str(s["from"])) <= slot < int(str(s["to"]))
    }


@asynccontextmanager
async def played(settings: Settings) -> AsyncIterator[None]:
    """Run a sandbox in this process, by the clock of its loop."""
    runtime = Runtime(settings, CollectorRegistry(), logger(), asyncio.Event())
    playing = asyncio.create_task(main(runtime, wall_time))
    await eventually(lambda: runtime.health.is_serving or playing.done(), "the sandbox is ready")
    try:
        yield
    finally:
        runtime.stop.set()
        await playing


async def test_a_client_sees_what_the_truth_log_says(tmp_path, base_port):
    """Over three slots and random phases every faulty link and many healthy ones are as the log said beforehand. Every
    stage occurs, and the access log holds one line for every answer that came.
    """
    rng = random.Random(1)
    async with played(Settings(data=tmp_path, slot=SLOT, base_port=base_port())):
        register = load_register(tmp_path / "register")
        header = logged(tmp_path / "truth.ndjson")[0]
        first = int(str(header["first_slot"]))
        assert header["register_version"] == register.register_version
        assert register.policy.epoch.timestamp() == first * SLOT
        trust = ssl.create_default_context(cafile=str(tmp_path / "ca.pem"))
        live = {link.id: link for link in register.links.values() if not link.absent}
        wanted: dict[tuple[str, int], Stage] = {}
        begin = max(first, int(wall_time()) // SLOT) + 1
        for slot in range(begin, begin + 3):
            faulty = truth_of(tmp_path, slot)
            well = rng.sample(sorted(live.keys() - faulty.keys()), k=40)
            wanted |= {(link, slot): stage for link, stage in faulty.items()}
            wanted |= {(link, slot): Stage.OK for link in well}
        assert wall_time() < begin * SLOT, "the truth is not written ahead"
        phases = [rng.uniform(0, SLOT - TIMES.timeout) for _ in wanted]
        async with asyncio.TaskGroup() as group:
            probes = {
                (link, slot): group.create_task(probe(register, live[link], trust, slot * SLOT + phase))
                for (link, slot), phase in zip(wanted, phases, strict=True)
            }
        seen = {key: task.result() for key, task in probes.items()}
        assert {key: (stage, wanted[key]) for key, stage in seen.items() if stage is not wanted[key]} == {}
        assert set(seen.values()) == set(Stage)
    access = logged(tmp_path / "access.ndjson")
    answered = sorted((str(line["link"]), int(str(line["slot"]))) for line in access)
    sent = {(str(line["link"]), int(str(line["slot"]))): line["sent"] for line in access}
    mode = {
        (str(span["link"]), slot): span["mode"]
        for span in logged(tmp_path / "truth.ndjson")[1:]
        for slot in range(int(str(span["from"])), int(str(span["to"])))
    }
    silent = {"refused", "tls_broken", "hung"}
    assert answered == sorted(key for key in wanted if mode.get(key) not in silent)
    assert all(said == mode.get(key, "ok") for key, said in sent.items())


def test_a_restart_goes_on(tmp_path, port, base_port):
    """A sandbox that is killed and restarted with the same settings keeps the run, the authority and the register, and
    records the gap. With another base port it begins a new run.
    """
    first, metrics_port = base_port(), port()
    with sandbox(tmp_path, first, metrics_port) as it:
        before = it.read("truth.ndjson")
        exchanged = it.read("exchanges.ndjson")
        files = {path: path.read_bytes() for path in (tmp_path / "register").iterdir()} | {
            tmp_path / "ca.pem": (tmp_path / "ca.pem").read_bytes()
        }
        it.process.kill()
        it.process.wait(DEADLINE)
    with sandbox(tmp_path, first, metrics_port) as it:
        after = it.read("truth.ndjson")
        assert {**after[0], "gaps": []} == before[0]
        assert after[1 : len(before)] == before[1:]  # a restart that took long has written more
        assert it.read("exchanges.ndjson")[: len(exchanged)] == exchanged
        assert {path: path.read_bytes() for path in files} == files
        assert it.stop() == 0
    (tmp_path / "access.ndjson").write_text("{}\n")
    with sandbox(tmp_path, first, metrics_port) as it:
        assert it.read("access.ndjson") == [{}]
    with sandbox(tmp_path, base_port(), metrics_port) as it:
        assert it.read("truth.ndjson")[0]["gaps"] == []
        assert it.read("truth.ndjson")[0]["base_port"] != before[0]["base_port"]
        assert it.read("access.ndjson") == []


def test_a_second_sandbox_on_the_same_ports(tmp_path, port, base_port):
    """A sandbox whose ports are taken ends with one sentence that names the address and what to do, and exit code 1."""
    first = base_port()
    with sandbox(tmp_path / "one", first, port()):
        second = run(*command(tmp_path / "two", first, f"127.0.0.1:{port()}"))
    assert second.returncode == 1
    assert second.stderr.count("\n") == 1
    assert (
        f":{first}: Address already in use; stop what listens there or choose other ports with --base-port"
        in second.stderr
    )


def test_the_description(tmp_path, port, base_port):
    """scenario.json has the counts, the agencies of the exchange sample and the first slot."""
    with sandbox(tmp_path, base_port(), port()) as it:
        register = load_register(tmp_path / "register")
        told = json.loads((tmp_path / "scenario.json").read_text())
        assert told["first_slot"] == it.read("truth.ndjson")[0]["first_slot"]
    assert told["counts"]["links"] == len(register.links)
    assert told["counts"]["links_absent"] == sum(link.absent for link in register.links.values())
    assert told["exchange"]["agency"] == register.members[0].agency
    assert told["exchange"]["alias"] == register.links[told["exchange"]["link"]].provider


def test_a_national_government(tmp_path, port, base_port):
    """The national scenario serves its 3,300 live links from one process within its limit of open files."""
    first, metrics = base_port(), f"127.0.0.1:{port()}"
    process = ForkedProcess(*command(tmp_path, first, metrics), "--scenario", "national", stdout=tmp_path / "log")
    try:
        wait_until_serving(process, metrics, tmp_path / "log")
        told = json.loads((tmp_path / "scenario.json").read_text())
        listening = len(list(Path(f"/proc/{process.pid}/fd").iterdir()))
        assert told["counts"]["links_live"] == 3300
        assert listening > 3300
        process.send_signal(signal.SIGTERM)
        assert process.wait(DEADLINE) == 0
    finally:
        process.kill()
        process.wait()


def test_a_register_from_what_its_servers_list(tmp_path, port, base_port):
    """The commands of docs/exchange.md read the lists of a running sandbox, which has one member more than its
    register.
    """
    text = block("docs/exchange.md: 5. X-Road in ten minutes 2").text
    with sandbox(tmp_path / "sandbox", base_port(), port()) as it:
        sources = yaml.safe_load((it.directory / "sources.yaml").read_text())
        # A server may be in a fault in this slot.
        server = next(url for url in (source["url"] for source in sources["sources"]) if _lists(it, url))
        text = text.replace("https://127.3.1.1:7500/", server).replace(
            "peyvand-data/sandbox/sandbox", str(it.directory)
        )
        text = text.replace("--out proposed", f"--out {tmp_path / 'proposed'}")
        commands = [shlex.split(line) for line in text.replace("\\\n", "").splitlines()]
        proposed, compared = (run("services.cli", *command[1:]) for command in commands)
        register = load_register(it.directory / "register")
    assert proposed.returncode == compared.returncode == 0, proposed.stderr + compared.stderr
    names = {agency.name_en for agency in load_register(tmp_path / "proposed").agencies.values()}
    assert names == {agency.name_en for agency in register.agencies.values()} | {"Sandbox Trading"}
    rows = (tmp_path / "proposed" / "xroad_services.csv").read_text().splitlines()
    assert len(rows) > 1
    assert all("SANDBOX/GOV/1001/data/" in row for row in rows[1:])
    assert [line for line in compared.stdout.splitlines() if line.startswith("  ")] == [
        "  + SANDBOX/COM/9000",
        "  + SANDBOX/COM/9000/app",
    ]


def _lists(it: Process, url: str) -> bool:
    trust = ssl.create_default_context(cafile=it.directory / "ca.pem")
    with suppress(OSError):
        return urlopen(f"{url}listClients", context=trust, timeout=DEADLINE).status == 200
    return False
