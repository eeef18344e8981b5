"""Exchanges over the data bus are counted as they happened, despite faulty logs and crashes."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import time
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from services.core.codec import summary_from_json
from services.core.model.exchange import DURATION_BUCKETS
from services.core.model.register import FLUSH_SECONDS
from services.register.attribution import Attributor
from services.register.directory import load_register
from tests.support.forked import run
from tests.support.oracles.witness import read_rows, read_truth
from tests.support.processes import logged
from tests.support.system import System

SLOT = 2
JUDGED = 3
KILLS = ("collector", "nats-server", "collector", "nats-server", "collector")
LATEST = 3 * SLOT + 5
"""Seconds after its slot within which an exchange's last record is logged: three slots late, plus a long duration."""

FIELDS = {
    "count": "count",
    "ok": "ok",
    "bus_failures": "bus_failures",
    "provider_failures": "provider_failures",
    "orphans": "orphans",
    "request_bytes": "request_bytes",
    "response_bytes": "response_bytes",
    "skew_count": "skew_count",
    "skew_ms_sum": "skew_ms",
    "duration_ms_sum": "duration_ms",
}
"""Numbers of a published summary, and their names in the truth log; duration_buckets are compared separately."""


def _kill_at_random(running: System, chance: random.Random) -> None:
    """Kill collector and bus in turn at random moments, each after the previous victim is back."""
    for victim in KILLS:
        moment = time.time() + chance.uniform(0.0, SLOT)
        running.until(partial(_reached, moment), what="the next kill was due")
        pid = running.children()[victim]
        os.kill(pid, signal.SIGKILL)
        running.until(partial(_back, running, victim, pid), what=f"{victim} was back")


def _reached(moment: float) -> bool:
    return time.time() >= moment


def _back(running: System, victim: str, killed: int) -> bool:
    if running.children().get(victim, killed) == killed:
        return False
    if victim != "nats-server":
        return running.page(victim, "/health")[0] == 200
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", running.first_port + 2)) == 0


def _samples(running: System, component: str, name: str) -> list[float]:
    lines = running.page(component, "/metrics")[1].splitlines()
    return [float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith((f"{name} ", f"{name}{{"))]


def _published(running: System) -> dict[tuple[int, str, str], dict[str, Any]]:
    """Return every summary in force on the bus, the one with the highest revision, by slot, client and service."""
    flags = ("--nats", running.nats, "--credentials", str(running.credentials))
    dumped = run("services.cli", "dump", "exchanges", *flags)
    assert dumped.returncode == 0, dumped.stderr
    found: dict[tuple[int, str, str], dict[str, Any]] = {}
    for row in map(json.loads, dumped.stdout.splitlines()):
        moment = datetime.fromisoformat(row["slot_start"])
        key = int(moment.timestamp()) // SLOT, row["client"], row["service"]
        if key not in found or int(found[key]["revision"]) < int(row["revision"]):
            found[key] = row
    return found


def _true(path: Path) -> dict[tuple[int, str, str], dict[str, Any]]:
    return {(row["slot"], row["client"], row["service"]): row for row in logged(path)}


def _explain(running: System, link: str, *flags: str) -> str:
    """Return what `peyvand explain` prints about a link; empty while the api does not answer."""
    environment = {**os.environ, "COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"}
    done = run("services.cli", "explain", "link", link, "--api", running.api, *flags, environment=environment)
    return done.stdout if done.returncode == 0 else ""


def _explained(running: System, link: str, used: float) -> tuple[dict[str, Any], str]:
    """Wait until the hour in which a link was used is compared with probes; return what the api found about the link,
    and the text for a person.
    """
    findings: dict[str, Any] = {}
    shown: list[str] = []

    def found() -> bool:
        findings.update(json.loads(_explain(running, link, "--json") or "{}").get("findings", {}))
        last_hour = findings.get("reconciliation", {}).get("last_hour")
        return bool(last_hour) and _moment(last_hour) >= used // 3600 * 3600

    def told() -> bool:
        shown[:] = _explain(running, link).split()
        return bool(shown)

    # The scorer compares exchanges with probes in at most a twentieth of its time: seldom on a slow machine.
    running.until(found, what="exchanges were held against probes")
    running.until(told, what="a person was told of it")
    return findings, " ".join(shown)


def _moment(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


@pytest.mark.slow
def test_every_exchange_is_counted_once(system) -> None:
    """Published summaries equal the truth log for every pair and slot, in every figure and with the right link. Records
    come twice, late or never, clocks are off, servers fail, and kill -9 ends collector or bus five times. The server
    that is asked for its counts gives them. The explanation of a used link says what was exchanged, and when.
    """
    running = system("--slot", f"{SLOT}s", "--seed", "5", "--traffic", "60")
    sandbox = running.data / "sandbox"
    running.until(
        lambda: _samples(running, "collector", "peyvand_exchange_position_timestamp_seconds"), what="it began"
    )
    _kill_at_random(running, random.Random(3))
    first = read_truth(sandbox / "truth.ndjson").first_slot
    servers = len(json.loads((sandbox / "scenario.json").read_text("utf-8"))["clocks_ahead_ms"])
    end = first + JUDGED

    def read() -> bool:
        positions = _samples(running, "collector", "peyvand_exchange_position_timestamp_seconds")
        return len(positions) == servers and min(positions) > end * SLOT + LATEST

    running.until(read, what="every server was read to the end")
    running.until(
        lambda: sum(_samples(running, "collector", "peyvand_exchange_health_requests")) > 0,
        what="a server's counts came",
    )
    newest = max(_true(sandbox / "exchanges.ndjson"))[0]
    assert newest > end
    true = {key: row for key, row in _true(sandbox / "exchanges.ndjson").items() if first - 1 <= key[0] < end}
    assert all(sum(row[name] for row in true.values()) > 0 for name in ("repeated", "late", "orphans"))
    flushed = time.time() + 2 * FLUSH_SECONDS

    def out() -> bool:
        return time.time() > flushed and _samples(running, "collector", "peyvand_exchange_unpublished") == [0.0]

    running.until(out, what="it was published")
    published = _published(running)
    told = {key: row for key, row in published.items() if first - 1 <= key[0] < end}
    # An orphan is in the slot of the provider's clock until its client's record comes; then a row of zeros remains.
    nothing = {**dict.fromkeys(FIELDS.values(), 0), "duration_buckets": [0] * DURATION_BUCKETS}
    wrong = [
        (key, name, row.get(name, 0), true.get(key, nothing)[known])
        for key, row in told.items()
        for name, known in FIELDS.items()
        if float(row.get(name, 0)) != true.get(key, nothing)[known]
    ]
    wrong += [
        (key, "duration_buckets", found, known)
        for key, row in told.items()
        if (found := [int(number) for number in row["duration_buckets"]])
        != (known := true.get(key, nothing)["duration_buckets"])
    ]
    assert true.keys() <= told.keys()
    assert not wrong, f"{len(wrong)} figures differ (slot, client, service; figure, told, true): {wrong[:10]}"
    links: dict[tuple[str, str], list[str]] = {}
    for row in read_rows(sandbox / "register", "exchange.csv"):
        links.setdefault((row["client"], row["service"]), []).append(row["link"])
    attributor = Attributor(load_register(sandbox / "register"))
    attributed = {key: attributor.attribute_summary(summary_from_json(json.dumps(row))) for key, row in told.items()}
    for (_, *pair), summary in attributed.items():
        serving = links.get((pair[0], pair[1]), [])
        assert (summary.link, summary.shared) == (serving[0] if len(serving) == 1 else "", len(serving) > 1)

    least = sum(int(row.get("count", 0)) for row in published.values())
    running.until(
        lambda: sum(_samples(running, "scorer", "peyvand_exchanges")) >= least, what="the scorer counted them"
    )
    counted = sum(_samples(running, "scorer", "peyvand_exchanges"))
    assert counted <= sum(int(row.get("count", 0)) for row in _published(running).values())

    link, used = next((summary.link, summary.slot_start) for summary in attributed.values() if summary.link)
    findings, shown = _explained(running, link, used)
    volume, beside = findings["exchanges"], findings["reconciliation"]
    assert _moment(volume["slots_from"]) <= used <= _moment(volume["last_slot"]) < _moment(volume["slots_to"])
    assert used // 3600 * 3600 <= _moment(beside["last_hour"]) < _moment(beside["as_of"])
    assert 0 < int(beside["exchanges"]) <= int(volume["count"])
    assert f"Over the data bus {volume['consumer']} asked {volume['provider']}" in shown
    assert "; last one between " in shown
