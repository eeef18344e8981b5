"""Checks the bus at intervals, and reports risks of loss and the end of certificates on /health and /metrics (ADR 108)."""

from __future__ import annotations

import asyncio
import time

from services.core.bus import Bus, bus_report
from services.core.errors import BusError
from services.core.log import Logger
from services.core.runtime import Health
from services.scorer.bus_metrics import BusMetrics

_ASK_SECONDS = 60.0
_RETRY_SECONDS = 5.0
_KEPT_SECONDS = 600.0
"""How long the last answers are shown while there are no newer ones: servers are restarted one after another."""


async def watch_bus(bus: Bus, metrics: BusMetrics, health: Health, log: Logger) -> None:
    """Check until cancelled. A bus that may lose messages is used all the same: it is up to its operator to fix it."""
    said, answered = "", time.monotonic()
    while True:
        try:
            report = await bus_report(bus)
        except BusError:  # the readers report it
            if time.monotonic() - answered >= _KEPT_SECONDS:
                metrics.unknown()
            await asyncio.sleep(_RETRY_SECONDS)
            continue
        answered = time.monotonic()
        metrics.unsafe(report.faults)
        metrics.certificates(report.certificates)
        health.warning = next(iter(report.faults.values()), "")
        if health.warning and health.warning != said:
            log.warning("bus_may_lose_messages", reason="; ".join(report.faults.values()))
        said = health.warning
        await asyncio.sleep(_ASK_SECONDS)
