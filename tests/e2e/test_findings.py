"""What the exchanges of a whole system show is what was injected into them, and nothing else."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from datetime import datetime

import pytest

from tests.support.forked import run
from tests.support.system import System

SLOT = 2
FOUND_SECONDS = 240.0
"""The first departure begins after 52 s, and is found some 20 s later; the rest is room for a busy machine."""


def _found(running: System) -> list[dict[str, str]]:
    text = run("services.cli", "findings", "--ended", "--json", "--api", running.api).stdout
    return [json.loads(line) for line in text.splitlines()]


@pytest.mark.slow
@pytest.mark.alone
def test_what_is_found_is_what_was_injected(system: Callable[..., System]) -> None:
    """Calls of a service that stop are one finding, from that slot on; a scorer that is killed meanwhile finds the same.

    The service is one that many call, so the sum over its bus may tell of it before its own flows can.
    """
    running = system("--slot", f"{SLOT}s", "--traffic", "40", "--faults", "0")
    running.until_serving()
    running.until(lambda: _found(running), what="something was found", seconds=FOUND_SECONDS)
    before = {one["id"] for one in _found(running)}
    scorer = running.children()["scorer"]
    os.kill(scorer, signal.SIGKILL)
    running.until(lambda: running.children().get("scorer", scorer) != scorer, what="the scorer was back")
    running.until(lambda: running.page("scorer", "/health")[0] == 200, what="the scorer serves")
    (injected,) = map(json.loads, (running.data / "sandbox" / "departures.ndjson").read_text("utf-8").splitlines())
    found = _found(running)
    assert before == {one["id"] for one in found}
    (one,) = found
    assert one["kind"] in {"FINDING_KIND_SILENCE", "FINDING_KIND_FALL"}
    assert injected["kind"] == "silence"
    assert any(flow.endswith(f" {injected['service']}") for flow in one["flows"])
    assert abs(datetime.fromisoformat(one["since"]).timestamp() / SLOT - injected["from"]) <= 1
    assert one["sentence_en"].startswith("Calls ")
