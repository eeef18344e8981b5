"""Blocks of indicators as rows: converted to the columns that are encoded, and decoded again."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from peyvand.v1 import block_pb2
from services.core.blocks.compression import parse_block
from services.core.blocks.encode import AgencyRank, BlockColumns, EvidenceColumns, encode_blocks, stamp_block
from services.core.blocks.read import BlockReader
from services.core.codec import ExchangeVolume, indicator_from_message
from services.core.model.finding import Finding
from services.core.model.indicator import Indicator, Structure
from services.core.model.monitoring import Monitoring
from services.core.model.reconciliation import Reconciliation, Traffic
from tests.support.values.message_values import (
    reconciliation_from_message,
    structure_from_message,
    traffic_from_message,
    volume_from_message,
)

__all__ = ["Block", "decode_block", "encoded"]


@dataclass(frozen=True, slots=True)
class Block:
    """One value of the bucket: indicators that share as_of and versions, and the evidence behind their links.

    ``structures`` and ``traffic`` are the government's, one for each window. ``reconciliations`` are those of links.
    Decoded indicators hold their band of ``ranks``.
    """

    indicators: tuple[Indicator, ...]
    links: tuple[EvidenceColumns, ...] = ()
    exchanges: tuple[ExchangeVolume, ...] = ()
    structures: tuple[Structure, ...] = ()
    reconciliations: tuple[Reconciliation, ...] = ()
    traffic: tuple[Traffic, ...] = ()
    ranks: tuple[AgencyRank, ...] = ()
    monitoring: Monitoring | None = None
    certificates: tuple[tuple[str, int], ...] = ()
    findings: tuple[Finding, ...] = ()


def decode_block(payload: bytes) -> Block:
    """Decode a value of the bus. Raises ValueError for an inconsistent IndicatorBlock."""
    kept = BlockReader.of(payload)
    keys = kept.keys()
    windows = (links.window_days for links in parse_block(block_pb2.IndicatorBlock, payload).links)
    evidence = map(kept.evidence, windows)
    return Block(
        tuple(indicator_from_message(found) for key in keys if (found := kept.find(key))),
        tuple(one for one in evidence if one is not None),
        tuple(map(volume_from_message, kept.exchanges)),
        tuple(map(structure_from_message, kept.structures)),
        tuple(map(reconciliation_from_message, kept.reconciliations)),
        tuple(map(traffic_from_message, kept.traffic)),
    )


def encoded(block: Block) -> bytes:
    """Encode a block with at least one indicator."""
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
        counts=np.array([_counts(row) for row in rows]).T,
        level=np.array([-1 if row.level is None else row.level for row in rows], np.int8),
        links=block.links,
        exchanges=block.exchanges,
        structures=block.structures,
        reconciliations=block.reconciliations,
        traffic=block.traffic,
        ranks=block.ranks,
        monitoring=block.monitoring,
        certificates=block.certificates,
        findings=block.findings,
    )
    (payload,) = encode_blocks([columns])
    return stamp_block(payload, first.evidence_sequence)


def _counts(row: Indicator) -> list[int]:
    outages = row.interval.outages if row.interval else None
    return [row.links_required, row.links_known, row.links_absent, outages or 0]


def _shares(row: Indicator) -> list[float]:
    losses, strict = row.losses, row.strict
    shares = [row.point, row.lower, row.upper, row.known_share]
    shares += [losses.not_connected, losses.not_answered, losses.invalid, losses.late, losses.stale]
    shares += [strict.point, strict.lower, strict.upper] if strict else [None] * 3
    shares += [row.interval.low, row.interval.high] if row.interval else [None] * 2
    return [math.nan if share is None else share for share in shares]
