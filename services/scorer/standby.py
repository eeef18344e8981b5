"""Runs a scorer without the lease: it keeps its evidence up to date and publishes nothing (ADR 98)."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from services.core.blocks import BlockReader
from services.core.bus import GOVERNMENT_KEY, INDICATOR_BUCKET, Bus
from services.core.errors import BusError
from services.core.log import Logger
from services.scorer.evidence_lock import EvidenceLock
from services.scorer.health import ReadinessReporter
from services.scorer.index import Scoring
from services.scorer.lease import Lease

FOLLOW_SECONDS = 2.0
"""How often the index of the other scorer is checked."""


async def stand_by(
    bus: Bus,
    lease: Lease,
    scoring: Scoring,
    evidence_lock: EvidenceLock,
    *,
    readiness: ReadinessReporter,
    log: Logger,
) -> None:
    """Count evidence and close days up to the index that another scorer publishes, until this one has the lease."""
    if lease.taken.is_set():
        return
    log.info("standing_by", sequence=scoring.manifest.position.sequence)
    while not lease.taken.is_set():
        readiness.set_standing_by(active=True)
        try:
            payload = await bus.kv_get(INDICATOR_BUCKET, GOVERNMENT_KEY)
        except BusError as error:
            log.warning("bus_read_failed", reason=str(error))
            payload = None
        with suppress(ValueError):
            end_slot = None if payload is None else scoring.follow(BlockReader.of(payload).as_of)
            if end_slot is not None:
                await evidence_lock.run_in_slices(scoring.prepare(end_slot))
                await evidence_lock.run_in_slices(scoring.close())
        with suppress(TimeoutError):
            async with asyncio.timeout(FOLLOW_SECONDS):
                await lease.taken.wait()
    readiness.set_standing_by(active=False)
    log.info("took_over", sequence=scoring.manifest.position.sequence)
