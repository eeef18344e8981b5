"""The deployed alert rules work end to end, with real components, Prometheus, Alertmanager and a webhook."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from services.register.bus.publish import publish_register
from services.register.directory.load import load_register
from services.sandbox.faults.faults import FaultMode, FaultScope
from tests.support.cases.sandbox_register import cut, read_rows
from tests.support.components import Components, started
from tests.support.monitoring.alerting import Alerting, alerting, scaled
from tests.support.ports import free_base_port, free_port
from tests.support.servers.commanded_sandbox import command

SLOT = 3
FACTOR = SLOT / 300
LINKS = 40
TIMEOUT_MS, LATENCY_MS = 1400, 700  # lenient, so that a busy machine does not look like a late answer


def _few_links(register: Path) -> dict[str, str]:
    """Cut a sandbox's register down to some live links; return the row of one with a strict SLO, not over the bus."""
    links = [row for row in read_rows(register / "links.csv") if row["live_from"]][:LINKS]
    on_bus = {row["link"] for row in read_rows(register / "exchange.csv")}
    cut(register, {row["id"] for row in links}, latency_ms=LATENCY_MS, timeout_ms=TIMEOUT_MS)
    return next(row for row in links if row["slo"] == "0.99" and row["id"] not in on_bus)


async def _asked(told: Alerting, query: str, components: Components) -> list[dict[str, Any]]:
    """Return the answer to a query; ask again while Prometheus does not answer in time."""
    found: list[list[dict[str, Any]]] = []

    def ask() -> bool:
        answer = told.asked(query)
        if answer is not None:
            found.append(answer)
        return bool(found)

    await components.until(ask, f"an answer to {query}")
    return found[0]


def _value(told: Alerting, query: str) -> float:
    """Return the value of the first series of an answer; -1 without any."""
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
    """A blind vantage, a dead bus and a stopped prober each raise their own alert, and none about a target. When a link
    then breaks, the page about it reaches the webhook once, with its labels.
    """
    base_port = free_base_port()
    faults = tmp_path / "faults.json"
    settings = ("--slot", SLOT, "--base-port", base_port, "--faults", 0, "--traffic", 0)
    with started(nats, tmp_path) as components:

        def sandbox() -> None:
            components.start(
                "sandbox", *settings, module="tests.support.servers.commanded_sandbox", args=(str(faults),)
            )

        register = tmp_path / "sandbox" / "register"
        sandbox()
        await components.until(lambda: "sandbox serving" in components.logs(), "the sandbox served")
        few = register.with_name("few")
        register.rename(few)
        broken = _few_links(few)
        async with nats.connect("register") as bus:
            await publish_register(bus, load_register(few), now=time.time())
        for name, flags in (
            ("prober", ("--prober", "one", "--probe-files", few)),
            ("scorer", ()),
            ("api", ("--listen", f"127.0.0.1:{free_port()}")),
        ):
            components.start(name, *flags)
        places = {name: place for name, place in components.metrics.items() if name != "sandbox"}
        with alerting(tmp_path / "prometheus", places, factor=FACTOR) as told:
            as_of = "max(peyvand_index_as_of_timestamp_seconds)"
            stages = "count(peyvand_link_stage == 5)"
            await components.until(lambda: _value(told, stages) == LINKS, "every link was seen to work")

            # The vantage: everything it could reach is gone, also its control target, for longer than a burn alert
            # needs.
            since = _value(told, as_of)
            components.kill("sandbox")
            await components.until(lambda: told.alerts(alertname="VantageBlind"), "the blind vantage was told of")
            await components.until(lambda: _value(told, as_of) >= since + 6 * SLOT, "blind slots were judged")
            assert await _asked(told, "peyvand_link_stage", components) == []
            sandbox()
            await components.until(lambda: _value(told, stages) == LINKS, "the vantage saw again")

            # The bus, and while the bus is down, the prober.
            nats.kill()
            await components.until(lambda: told.alerts(alertname="BusUnreachable"), "the dead bus was told of")
            components.pause("prober")
            nats.start()
            await components.until(lambda: told.alerts(alertname="ComponentDown"), "the stopped prober was told of")
            components.resume("prober")
            await components.until(lambda: _value(told, stages) == LINKS, "all went on")
            assert await _asked(told, 'count_over_time(ALERTS{about="target"}[1h])', components) == []
            assert told.alerts(about="target") == []
            assert {path for path, _ in told.alerts(alertname="VantageBlind")} == {"/pages"}

            command(faults, [(FaultScope.LINK, broken["id"], FaultMode.HTTP_5XX)])
            await components.until(lambda: told.alerts(alertname="LinkBurnsFast"), "the broken link was told of")
            since = _value(told, as_of)
            await components.until(lambda: _value(told, as_of) >= since + 2 * SLOT, "two more slots were judged")
            ((path, alert),) = told.alerts(about="target")
            owner = {row["id"]: row["agency"] for row in read_rows(few / "services.csv")}
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
