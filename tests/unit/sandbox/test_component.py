"""The sandbox reports when it did not do in time what the truth says."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

from prometheus_client import CollectorRegistry

from services.core.runtime import Runtime
from services.core.settings import Settings
from services.sandbox.component import _run_slots
from services.sandbox.timing import slot_timing

TIMES = slot_timing(60)
BEGIN = 1_000 * 60.0 + 10


async def test_a_sandbox_that_stood_still_says_so() -> None:
    """Slots in which the loop stalled for part of the answers' limit are reported. A short pause is not."""
    stop, late, stood = asyncio.Event(), list[tuple[int, int]](), [0.0]
    begin = asyncio.get_running_loop().time()

    def warn(event: str, *, from_slot: int, to_slot: int) -> None:
        assert event == "truth served late"
        late.append((from_slot, to_slot))
        stop.set()

    def stand_still() -> None:
        stood[0] += TIMES.latency

    def tell(event: str, **_: object) -> None:
        assert event == "sandbox serving"
        asyncio.get_running_loop().call_later(0.05, stand_still)

    async def logged(_slot: int) -> None:
        pass

    log: Any = SimpleNamespace(warning=warn, info=tell)
    run: Any = SimpleNamespace(header=SimpleNamespace(first_slot=1_000), resumed=False)
    servers: Any = SimpleNamespace(apply=lambda _: None)
    access: Any = SimpleNamespace(flush=lambda: None)
    async with asyncio.timeout(60):
        await _run_slots(
            Runtime(Settings(), CollectorRegistry(), log, stop),
            run,
            TIMES,
            servers,
            lambda _: None,
            logged,
            access,
            clock=lambda: BEGIN + stood[0] + asyncio.get_running_loop().time() - begin,
        )
    assert late == [(1_000, 1_001)]
