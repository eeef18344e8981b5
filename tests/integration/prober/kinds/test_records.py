"""Test records in rotation: a known person or firm for each slot (docs/probing.md §2)."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path

from services.core.model.outcome import Reason
from services.core.model.probe import Expect, Probe
from tests.support.cases.probing import register, running
from tests.support.servers.http_server import Request, answer, serving

RECORDS = ({"person": "1", "name": "علی"}, {"person": "2", "name": "رضا"}, {"person": "3", "name": "زهرا"})


async def _knows_two(request: Request, writer: asyncio.StreamWriter) -> None:
    """Answer like a registry that confuses the third of three people with the second."""
    number = int(request.path.rpartition("=")[2])
    writer.write(answer(200, json.dumps({"name": RECORDS[min(number, 2) - 1]["name"]}).encode()))


async def test_each_slot_has_the_next_record(tmp_path: Path) -> None:
    """Records rotate slot by slot, each answer is compared with the record requested, and a failing one is named."""
    expect = Expect(record={"name": "${name}"})
    async with serving(_knows_two) as server:
        first = register({"link": server.url("/?id=${person}")}, params=RECORDS)
        first = replace(first, probes={"page": Probe("page", "http", timeout=0.5, expect=expect)})
        async with running(tmp_path, first) as prober:
            rows = await prober.sink.until(lambda rows: len({row.slot_start for row in rows}) >= 4)
        asked = [request.path for request in server.requests if "id=" in request.path]
    turns = [row.slot_start // 2 % 3 for row in rows]
    assert set(turns) == {0, 1, 2}
    assert asked[: len(rows)] == [f"/?id={turn + 1}" for turn in turns]
    for row, turn in zip(rows, turns, strict=True):
        assert row.reason is (Reason.TEST_RECORD if turn == 2 else Reason.OK)
        assert row.detail.startswith("test record 3 of 3: ") == (turn == 2)
