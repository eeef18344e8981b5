"""The findings of a whole system are what was injected into its exchanges, and nothing else."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

from tests.support.forked import run
from tests.support.processes import logged
from tests.support.system import System

SLOT = 2
WEEK = 7
FOUND_SECONDS = 300.0
"""Services depart 10 s after startup and are as usual 40 s later. All findings about that have ended half a minute
later; the rest is room for a busy machine.
"""


def _injected(running: System) -> list[dict[str, Any]]:
    """Return the departures that begin first."""
    lines = logged(running.data / "sandbox" / "departures.ndjson")
    return [line for line in lines if line["from"] == lines[0]["from"]]


def _found(running: System) -> list[dict[str, Any]]:
    """Return the findings that began before those departures were over."""
    text = run("services.cli", "findings", "--ended", "--json", "--api", running.api).stdout
    over = _injected(running)[0]["to"]
    return [one for one in map(json.loads, text.splitlines()) if _slot(one["since"]) < over]


def _slot(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp() / SLOT


def _tells_of(finding: dict[str, Any], departure: dict[str, Any]) -> bool:
    """Return whether a finding is about a departure; a service that stops may be shown as a fall of its whole provider."""
    kinds = {departure["kind"], "fall"} if departure["kind"] == "silence" else {departure["kind"]}
    return (
        finding["kind"].removeprefix("FINDING_KIND_").lower() in kinds
        and any(flow.endswith(f" {departure['service']}") for flow in finding["flows"])
        and abs(_slot(finding["since"]) - departure["from"]) <= WEEK
    )


@pytest.mark.slow
def test_what_is_found_is_what_was_injected(system: Callable[..., System]) -> None:
    """Services that stop, fail, become slow, give long answers or are asked repeatedly are each found, and nothing else
    is. A scorer that is killed finds the same.
    """
    running = system("--slot", f"{SLOT}s", "--traffic", "150", "--faults", "0", "--seed", "2")
    running.until_serving()
    running.until(lambda: (running.data / "sandbox" / "departures.ndjson").stat().st_size > 0, what="services departed")
    injected = _injected(running)
    assert {one["kind"] for one in injected} == {
        "silence",
        "bus_failures",
        "provider_failures",
        "slow",
        "size",
        "repeats",
    }

    def told() -> bool:
        found = _found(running)
        return all(any(_tells_of(one, departure) for one in found) for departure in injected) and all(
            one.get("ended_at") for one in found
        )

    running.until(told, what="every departure was found, and over", seconds=FOUND_SECONDS)
    before = _found(running)
    assert [one for one in before if not any(_tells_of(one, departure) for departure in injected)] == []
    scorer = running.children()["scorer"]
    os.kill(scorer, signal.SIGKILL)
    running.until(lambda: running.children().get("scorer", scorer) != scorer, what="the scorer was back")
    running.until(lambda: running.page("scorer", "/health")[0] == 200, what="the scorer serves")
    assert {one["id"] for one in _found(running)} == {one["id"] for one in before}
    (silent,) = [departure for departure in injected if departure["kind"] == "silence"]
    assert all(one["sentence_en"].startswith("Calls ") for one in before if _tells_of(one, silent))
