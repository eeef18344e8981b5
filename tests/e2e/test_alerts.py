"""Alerts end to end: real components, Prometheus, Alertmanager and a webhook, over the deployed rules."""

from __future__ import annotations

import asyncio
import csv
import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from services.register.load import load
from services.register.publish import publish
from tests.conftest import free_port
from tests.e2e.alerting import Alerting, alerting, scaled
from tests.running import ROOT, free_base_port

SLOT = 3
FACTOR = SLOT / 300
LINKS = 40
TIMEOUT_MS, LATENCY_MS = 1400, 700  # as lenient as such slots allow: a crowded machine must not read as a late answer
DEADLINE = 90.0


def _rows(file: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(file.read_text("utf-8"))))


def _write(file: Path, rows: list[dict[str, str]]) -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    file.write_text(text.getvalue(), "utf-8")


def _few_links(register: Path) -> dict[str, str]:
    """Cut a sandbox's register down to some live links with lenient limits; return the row of one with a strict SLO."""
    links = [row for row in _rows(register / "links.csv") if row["live_from"]][:LINKS]
    routes = [row for row in _rows(register / "exchange.csv") if row["link"] in {one["id"] for one in links}]
    on_bus = {row["link"] for row in routes}
    _write(register / "links.csv", [{**row, "latency_ms": str(LATENCY_MS)} for row in links])
    _write(register / "exchange.csv", routes)
    probes = yaml.safe_load((register / "probes.yaml").read_text("utf-8"))
    for probe in probes.values():
        probe["timeout"] = f"{TIMEOUT_MS}ms"
    (register / "probes.yaml").write_text(yaml.safe_dump(probes), "utf-8")
    policy = yaml.safe_load((register / "policy.yaml").read_text("utf-8"))
    (register / "policy.yaml").write_text(yaml.safe_dump({**policy, "default_latency_ms": LATENCY_MS}), "utf-8")
    return next(row for row in links if row["slo"] == "0.99" and row["id"] not in on_bus)


class Components:
    """Processes by name, each started with its settings and killed at the end."""

    def __init__(self, nats, folder: Path) -> None:
        self._nats = nats
        self._folder = folder
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        self.metrics = {name: f"127.0.0.1:{free_port()}" for name in ("sandbox", "prober", "scorer", "api")}

    def start(self, name: str, *flags: object, module: tuple[str, ...] = ()) -> None:
        where = ("--nats", self._nats.url, "--credentials", self._nats.credentials, "--data", self._folder / name)
        command = [sys.executable, "-m", *(module or (f"services.{name}",)), *where, "--metrics", self.metrics[name]]
        with (self._folder / f"{name}.log").open("ab") as log:
            self.running[name] = subprocess.Popen(
                [str(word) for word in (*command, *flags)], cwd=ROOT, stdout=log, stderr=log
            )

    def kill(self, name: str) -> None:
        process = self.running.pop(name)
        process.kill()
        process.wait()

    def pause(self, name: str) -> None:
        process = self.running[name]
        process.send_signal(signal.SIGSTOP)
        os.waitpid(process.pid, os.WUNTRACED)

    def resume(self, name: str) -> None:
        self.running[name].send_signal(signal.SIGCONT)

    def logs(self) -> str:
        return "\n".join(f"--- {file.name}\n{file.read_text()[-800:]}" for file in self._folder.glob("*.log"))


@contextmanager
def _components(nats, folder: Path) -> Iterator[Components]:
    one = Components(nats, folder)
    try:
        yield one
    finally:
        for name in list(one.running):
            one.kill(name)


async def _until(condition: Callable[[], object], what: str, components: Components) -> None:
    """Wait until a condition holds; AssertionError with the logs when it does not in time."""
    end = time.monotonic() + DEADLINE
    while not await asyncio.to_thread(condition):
        assert time.monotonic() < end, f"not within {DEADLINE:.0f} s: {what}\n{components.logs()}"
        await asyncio.sleep(0.1)


async def _asked(told: Alerting, query: str, components: Components) -> list[dict[str, Any]]:
    """The answer to a query; a Prometheus that does not answer in time is asked again."""
    found: list[list[dict[str, Any]]] = []

    def ask() -> bool:
        answer = told.asked(query)
        if answer is not None:
            found.append(answer)
        return bool(found)

    await _until(ask, f"an answer to {query}", components)
    return found[0]


def _value(told: Alerting, query: str) -> float:
    """The value of the first series of an answer; -1 without any."""
    found = told.asked(query)
    return float(found[0]["value"][1]) if found else -1.0


def test_durations_are_scaled_and_nothing_else() -> None:
    """Waits and ranges shrink by the factor; spans of burns, thresholds and labels stay as they are."""
    rule = 'for: 3m\n  keep_firing_for: 1h\n  expr: rate(a[30m]) > 14.4 and b{span=~"1h|6h"} < 3 * 86400\n'
    assert scaled(rule, 0.01) == (
        'for: 1800ms\n  keep_firing_for: 36000ms\n  expr: rate(a[18000ms]) > 14.4 and b{span=~"1h|6h"} < 3 * 86400\n'
    )
    assert scaled("x[5m]", 0.01) == "x[4000ms]"
    assert scaled("group_wait: 30s\nrepeat_interval: 24h", 0.1) == "group_wait: 3000ms\nrepeat_interval: 8640000ms"


@pytest.mark.slow
async def test_a_broken_link_is_told_of_once_and_no_fault_of_the_monitor_as_a_target(nats, tmp_path: Path) -> None:
    """A vantage that goes blind, a bus that dies and a prober that stands still are told of as such, and nothing of any
    target; then a link breaks, and the page about it comes to the webhook with its labels, once.
    """
    base_port = free_base_port()
    settings = ("--slot", SLOT, "--base-port", base_port, "--faults", 0, "--traffic", 0)
    with _components(nats, tmp_path) as components:
        register = tmp_path / "sandbox" / "register"
        components.start("sandbox", *settings)
        await _until(lambda: "sandbox serving" in components.logs(), "the sandbox served", components)
        few = register.with_name("few")
        register.rename(few)
        broken = _few_links(few)
        async with nats.connect("register") as bus:
            await publish(bus, load(few), now=time.time())
        for name, flags in (
            ("prober", ("--prober", "one")),
            ("scorer", ()),
            ("api", ("--listen", f"127.0.0.1:{free_port()}")),
        ):
            components.start(name, *flags)
        places = {name: place for name, place in components.metrics.items() if name != "sandbox"}
        with alerting(tmp_path / "prometheus", places, factor=FACTOR) as told:
            as_of = "max(peyvand_index_as_of_timestamp_seconds)"
            stages = "count(peyvand_link_stage == 5)"
            await _until(lambda: _value(told, stages) == LINKS, "every link was seen to work", components)

            # The vantage: all that it could reach is gone, its control target too, for longer than a burn would need.
            since = _value(told, as_of)
            components.kill("sandbox")
            await _until(lambda: told.alerts(alertname="VantageBlind"), "the blind vantage was told of", components)
            await _until(lambda: _value(told, as_of) >= since + 6 * SLOT, "blind slots were judged", components)
            assert await _asked(told, "peyvand_link_stage", components) == []
            components.start("sandbox", *settings)
            await _until(lambda: _value(told, stages) == LINKS, "the vantage saw again", components)

            # The bus, and while it is gone the prober.
            nats.kill()
            await _until(lambda: told.alerts(alertname="BusUnreachable"), "the dead bus was told of", components)
            components.pause("prober")
            nats.start()
            await _until(lambda: told.alerts(alertname="ComponentDown"), "the stopped prober was told of", components)
            components.resume("prober")
            await _until(lambda: _value(told, stages) == LINKS, "all went on", components)
            assert await _asked(told, 'count_over_time(ALERTS{about="target"}[1h])', components) == []
            assert told.alerts(about="target") == []
            assert {path for path, _ in told.alerts(alertname="VantageBlind")} == {"/pages"}

            components.kill("sandbox")
            components.start("sandbox", *settings, module=("tests.e2e.broken_sandbox", broken["id"]))
            await _until(lambda: told.alerts(alertname="LinkBurnsFast"), "the broken link was told of", components)
            since = _value(told, as_of)
            await _until(lambda: _value(told, as_of) >= since + 2 * SLOT, "two more slots were judged", components)
            ((path, alert),) = told.alerts(about="target")
            owner = {row["id"]: row["agency"] for row in _rows(few / "services.csv")}
            assert path == "/pages"
            assert alert["labels"] == {
                "alertname": "LinkBurnsFast",
                "severity": "page",
                "about": "target",
                "link": broken["id"],
                "consumer": owner[broken["service"]],
                "provider": broken["provider"],
                "over_bus": "false",
            }
            assert alert["annotations"]["summary"] == f"Link {broken['id']} fails"
            assert alert["annotations"]["runbook_url"] == "docs/alerts.md#linkburnsfast"
