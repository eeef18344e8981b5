"""Heartbeats of probers that do not exist take no target from those that do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import count
from pathlib import Path
from time import time
from typing import Any

import pytest

from services.core.bus import Bus
from services.core.bus.names import heartbeat_subject
from services.core.codec import Heartbeat, encode_heartbeat
from tests.support.cases.fleet import COUNT, SLOT, TARGETS, fleet

GHOSTS = 50


async def _haunt(bus: Bus, real: Heartbeat, *, renamed: bool) -> None:
    """Send heartbeats of many probers that claim to have had shares for ever, under new names each time if ``renamed``."""
    for turn in count():
        for number in range(GHOSTS):
            name = f"ghost-{number}-{turn if renamed else 0}"
            ghost = Heartbeat("main", name, time(), 1.0, real.register_version, real.probe_version, 9, share_from=0)
            await bus.send(heartbeat_subject("main", name), encode_heartbeat(ghost))
        await asyncio.sleep(0.5)


@pytest.mark.slow
@pytest.mark.parametrize("renamed", [False, True], ids=["the same names", "new names"])
async def test_ghosts_empty_no_vantage(nats: Any, tmp_path: Path, port: Callable[[], int], renamed: bool) -> None:
    """While the vantage's seed sends heartbeats of fifty ghosts a real prober keeps its targets, and every slot is measured."""
    async with fleet(nats, tmp_path, port) as probers, nats.connect("prober") as attacker:
        probers.start("p1")
        first = await probers.shared_by("p1")
        haunting = asyncio.create_task(_haunt(attacker, probers.heard["p1"], renamed=renamed))
        try:
            haunted = (int(time()) // SLOT + 1) * SLOT
            for slot in range(first, haunted + 3 * SLOT, SLOT):
                await probers.measured(slot)
            assert probers.owners(haunted + 2 * SLOT) == {"p1": TARGETS}
            assert probers.heard["p1"].targets == COUNT
        finally:
            haunting.cancel()
            await asyncio.wait({haunting})
