"""Runs a scorer without the lease: it keeps its evidence up to date and publishes nothing (ADR 98)."""

from __future__ import annotations

import asyncio

from services.core.blocks import BlockReader
from services.core.bus import GOVERNMENT_KEY, INDICATOR_BUCKET, Bus
from services.core.errors import BusError
from services.scorer.lease import Lease
from services.scorer.refresher import Refresher

FOLLOW_SECONDS = 1.0
"""How often the index of the other scorer is checked, and whether it still has the lease."""


async def stand_by(bus: Bus, lease: Lease, refresher: Refresher) -> None:
    """Return once this scorer has the lease. Until then count evidence and close days as the other scorer publishes.

    It first asks for the lease when its evidence is counted. So a scorer that is restarted leaves the lease to one that
    stands by and can publish at once.
    """
    if lease.taken.is_set():
        return
    scoring, log = refresher.scoring, refresher.log
    end_slot = await _follow(bus, refresher)
    if end_slot is not None:
        await refresher.prepare(end_slot)
    if await lease.take():
        return
    log.info("standing_by", sequence=scoring.manifest.position.sequence)
    refresher.readiness.set_standing_by(active=True)
    while not await lease.take():
        before, end_slot = end_slot, await _follow(bus, refresher)
        if end_slot is not None and end_slot != before:
            await refresher.prepare(end_slot)
            await refresher.tidy(end_slot)
        await asyncio.sleep(FOLLOW_SECONDS)
    refresher.readiness.set_standing_by(active=False)
    log.info("took_over", sequence=scoring.manifest.position.sequence)


async def _follow(bus: Bus, refresher: Refresher) -> int | None:
    """Look up the index on the bus; return the end slot of the last index that is known."""
    scoring = refresher.scoring
    try:
        payload = await bus.kv_get(INDICATOR_BUCKET, GOVERNMENT_KEY)
        if payload is not None:
            as_of = BlockReader.of(payload).as_of
            async with refresher.evidence_lock.lock:
                scoring.follow(as_of)
    except BusError as error:
        refresher.log.warning("bus_read_failed", reason=str(error))
    except ValueError:  # of a newer version
        pass
    return scoring.manifest.end_slot
