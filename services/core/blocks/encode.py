"""Encodes IndicatorBlocks: indicators as columns, and the evidence behind their links."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from peyvand.v1 import block_pb2
from services.core.blocks.compression import compress_block, evidence_stamp
from services.core.blocks.packed import doubles, message, varints
from services.core.codec import (
    ExchangeVolume,
    finding_to_message,
    monitoring_to_message,
    rank_band_fields,
    reconciliation_fields,
    structure_to_message,
    traffic_to_message,
    volume_fields,
)
from services.core.model import (
    LOSS_STAGES,
    STAGES,
    Finding,
    IndicatorKind,
    Monitoring,
    RankBand,
    Reconciliation,
    Structure,
    Traffic,
)

_STRICT = ("strict_point", "strict_lower", "strict_upper")
_INTERVAL = ("interval_low", "interval_high")

SHARES = ("point", "lower", "upper", "known_share", *LOSS_STAGES, *_STRICT, *_INTERVAL)
"""Columns of doubles, in the order of BlockColumns.shares."""

COUNTS = ("links_required", "links_known", "links_absent", "interval_outages")
"""Columns of counts, in the order of BlockColumns.counts."""

_BLOCK_NUMBERS = {name: field.number for name, field in block_pb2.IndicatorBlock.DESCRIPTOR.fields_by_name.items()}
_NUMBERS = {name: field.number for name, field in block_pb2.LinkEvidence.DESCRIPTOR.fields_by_name.items()}


@dataclass(frozen=True, slots=True)
class EvidenceColumns:
    """The evidence of one window's n links, in id order.

    ``slots`` (n,) slots in force; ``verdicts`` (n, 6) known slots at each stage; ``omega`` (n,) the link's share of the
    government's weight (docs/method.md §5); ``share`` (n,) q̂: q, or the value imputed for it.
    """

    window_days: int
    ids: tuple[str, ...]
    slots: NDArray[np.int64]
    verdicts: NDArray[np.int64]
    omega: NDArray[np.float64]
    share: NDArray[np.float64]


def _encode_evidence(evidence: Sequence[EvidenceColumns]) -> list[bytes]:
    """Encode each as a field `links` of an IndicatorBlock; many together take little longer than one."""
    counts = [varints(_NUMBERS["slots"], [columns.slots for columns in evidence])]
    for stage, name in enumerate(STAGES):
        counts.append(varints(_NUMBERS[name], [columns.verdicts[:, stage] for columns in evidence]))
    fields, ids, encoded_ids = [], None, b""
    for columns, *encoded_counts in zip(evidence, *counts, strict=True):
        head = _encode_window(columns.window_days)
        if columns.ids is not ids:  # the windows of a block have the same links
            ids, encoded_ids = columns.ids, block_pb2.LinkEvidence(id=columns.ids).SerializeToString()
        tail = doubles(_NUMBERS["omega"], columns.omega) + doubles(_NUMBERS["share"], columns.share)
        fields.append(message(_BLOCK_NUMBERS["links"], b"".join([head, encoded_ids, *encoded_counts, tail])))
    return fields


@cache
def _encode_window(days: int) -> bytes:
    return block_pb2.LinkEvidence(window_days=days).SerializeToString()


@dataclass(frozen=True, slots=True)
class AgencyRank:
    """The band of ranks of one consumer or provider over one window."""

    kind: IndicatorKind
    id: str
    window_days: int
    band: RankBand


@dataclass(frozen=True, slots=True, eq=False)
class BlockColumns:
    """A block as it is encoded: n indicators as columns, and the evidence behind their links.

    ``kinds`` (n,) numbers of IndicatorKind, ``ids`` (n,) str objects, ``window_days`` (n,). ``shares`` (14, n): point,
    lower, upper, known share, the five losses by stage, strict point, lower and upper, interval low and high; NaN means
    unset. ``counts`` (4, n): links required, known and absent, and the outages that intervals rest on. ``level`` (n,),
    -1 where there is none.
    """

    as_of: int
    register_version: str
    probe_version: str
    method_version: str
    interval_level: float
    kinds: NDArray[np.int64]
    ids: NDArray[np.object_]
    window_days: NDArray[np.int64]
    shares: NDArray[np.float64]
    counts: NDArray[np.int64]
    level: NDArray[np.int8]
    links: tuple[EvidenceColumns, ...] = ()
    exchanges: tuple[ExchangeVolume, ...] = ()
    structures: tuple[Structure, ...] = ()
    reconciliations: tuple[Reconciliation, ...] = ()
    traffic: tuple[Traffic, ...] = ()
    ranks: tuple[AgencyRank, ...] = ()
    monitoring: Monitoring | None = None
    certificates: tuple[tuple[str, int], ...] = ()
    """Links whose certificate expires soon, each with the expiry in epoch seconds."""
    findings: tuple[Finding, ...] = ()


def encode_blocks(blocks: Sequence[BlockColumns]) -> list[bytes]:
    """Encode each without its evidence sequence, which ``stamp_block`` adds.

    Many together take little longer than one.
    """
    columns = [
        varints(_BLOCK_NUMBERS["kind"], [block.kinds for block in blocks]),
        varints(_BLOCK_NUMBERS["window_days"], [block.window_days for block in blocks]),
        varints(_BLOCK_NUMBERS["level"], [block.level for block in blocks], signed=True),
        *(varints(_BLOCK_NUMBERS[name], [block.counts[row] for block in blocks]) for row, name in enumerate(COUNTS)),
    ]
    evidence = iter(_encode_evidence([columns for block in blocks for columns in block.links]))
    payloads = []
    for block, *numbers in zip(blocks, *columns, strict=True):
        shares = (doubles(_BLOCK_NUMBERS[name], block.shares[row]) for row, name in enumerate(SHARES))
        payload = b"".join([_head(block), *numbers, *shares, *islice(evidence, len(block.links))])
        payloads.append(compress_block(block_pb2.IndicatorBlock, payload))
    return payloads


def _head(block: BlockColumns) -> bytes:
    """Encode everything but the columns of numbers."""
    # Messages that each block has are given by their fields: as messages they would be freed one by one (ADR 123).
    fields: dict[str, Any] = {
        "as_of": {"seconds": block.as_of},
        "ranks": [
            {
                "kind": int(rank.kind),
                "id": rank.id,
                "window_days": rank.window_days,
                "band": rank_band_fields(rank.band),
            }
            for rank in block.ranks
        ],
        "exchanges": list(map(volume_fields, block.exchanges)),
        "reconciliations": list(map(reconciliation_fields, block.reconciliations)),
        "certificates": [{"link": link, "expiry": {"seconds": expiry}} for link, expiry in block.certificates],
    }
    return block_pb2.IndicatorBlock(
        **fields,
        register_version=block.register_version,
        probe_version=block.probe_version,
        method_version=block.method_version,
        interval_level=block.interval_level,
        id=block.ids.tolist(),
        structures=map(structure_to_message, block.structures),
        traffic=map(traffic_to_message, block.traffic),
        monitoring=None if block.monitoring is None else monitoring_to_message(block.monitoring),
        findings=map(finding_to_message, block.findings),
    ).SerializeToString()


def encode_group(blocks: Mapping[str, bytes]) -> bytes:
    """Encode the blocks of some agencies, by agency, as one value."""
    return block_pb2.IndicatorBlock(agencies=blocks).SerializeToString(deterministic=True)


def stamp_block(payload: bytes, evidence_sequence: int) -> bytes:
    """Return the block with its evidence sequence: protobuf merges two messages that follow each other."""
    return payload + evidence_stamp(block_pb2.IndicatorBlock, evidence_sequence)
