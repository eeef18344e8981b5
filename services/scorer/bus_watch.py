"""Checks at intervals how the bus stores messages, and reports risks of loss on /health and /metrics (ADR 108)."""

from __future__ import annotations

import asyncio

from services.core.bus import Bus, durability_faults
from services.core.errors import BusError
from services.core.log import Logger
from services.core.runtime import Health
from services.scorer.bus_metrics import BusMetrics

_ASK_SECONDS = 60.0
_RETRY_SECONDS = 5.0


async def watch_bus(bus: Bus, metrics: BusMetrics, health: Health, log: Logger) -> None:
    """Check until cancelled. A bus that may lose messages is used all the same: it is up to its operator to fix it."""
    said = ""
    while True:
        try:
            faults = await durability_faults(bus)
        except BusError:  # the readers report it
            await asyncio.sleep(_RETRY_SECONDS)
            continue
        metrics.unsafe(faults)
        health.warning = next(iter(faults.values()), "")
        if health.warning and health.warning != said:
            log.warning("bus_may_lose_messages", reason="; ".join(faults.values()))
        said = health.warning
        await asyncio.sleep(_ASK_SECONDS)
