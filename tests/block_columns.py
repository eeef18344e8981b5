"""A block of indicators turned into the columns that are encoded: what a test that has rows puts on the bus. Not a test."""

from __future__ import annotations

import math

import numpy as np

from services.core.codec import Block, BlockColumns, encode_block, stamp_block
from services.core.evidence import Indicator

__all__ = ["encoded"]


def encoded(block: Block) -> bytes:
    """Return what the bus holds of a block with at least one indicator."""
    first, rows = block.indicators[0], block.indicators
    columns = BlockColumns(
        as_of=first.as_of,
        register_version=first.register_version,
        probe_version=first.probe_version,
        method_version=first.method_version,
        interval_level=next((row.interval.level for row in rows if row.interval), 0.0),
        kinds=np.array([row.kind for row in rows]),
        ids=np.array([row.id for row in rows], dtype=np.object_),
        window_days=np.array([row.window_days for row in rows]),
        shares=np.array([_shares(row) for row in rows]).T,
        counts=np.array([(row.links_required, row.links_known, row.links_absent) for row in rows]).T,
        level=np.array([-1 if row.level is None else row.level for row in rows], np.int8),
        links=block.links,
        exchanges=block.exchanges,
        structures=block.structures,
        reconciliations=block.reconciliations,
        traffic=block.traffic,
    )
    return stamp_block(encode_block(columns), first.evidence_sequence)


def _shares(row: Indicator) -> list[float]:
    losses, strict = row.losses, row.strict
    shares = [row.point, row.lower, row.upper, row.known_share]
    shares += [losses.not_connected, losses.not_answered, losses.invalid, losses.late, losses.stale]
    shares += [strict.point, strict.lower, strict.upper] if strict else [None] * 3
    shares += [row.interval.low, row.interval.high] if row.interval else [None] * 2
    return [math.nan if share is None else share for share in shares]
