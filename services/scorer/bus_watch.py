"""Asks the bus now and then how it keeps messages, and says on /health and /metrics what may lose them (ADR 108)."""

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
    """Ask until cancelled. A bus that may lose messages is served from all the same: that is for its operator to mend."""
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
