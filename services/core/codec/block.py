"""Blocks of KV bucket `indicator`: columns of indicators, link evidence and slots."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import repeat

import numpy as np
from google.protobuf.message import DecodeError
from numpy.typing import NDArray

from peyvand.v1 import block_pb2
from services.core.codec.reconciliation import (
    reconciliation_from_message,
    reconciliation_to_message,
    traffic_from_message,
    traffic_to_message,
)
from services.core.codec.structure import structure_from_message, structure_to_message
from services.core.codec.units import timestamp
from services.core.evidence import Indicator, Interval, Kind, Losses, Strict
from services.core.reconciliation import Reconciliation, Traffic
from services.core.structure import Structure

__all__ = [
    "Block",
    "BlockColumns",
    "ExchangeVolume",
    "LinkEvidence",
    "SlotBlock",
    "decode_block",
    "decode_slot_block",
    "encode_block",
    "encode_slot_block",
    "stamp_block",
    "volume_to_message",
]

_STAGES = ("not_connected", "not_answered", "invalid", "late", "stale", "ok")
_LOSSES = _STAGES[:-1]
_STRICT = ("strict_point", "strict_lower", "strict_upper")
_INTERVAL = ("interval_low", "interval_high")
_SHARES = ("point", "lower", "upper", "known_share", *_LOSSES, *_STRICT, *_INTERVAL)
_COUNTS = ("links_required", "links_known", "links_absent")


@dataclass(frozen=True, slots=True)
class LinkEvidence:
    """What is known of one window's links, n of them in id order.

    ``slots`` (n,) slots in force; ``verdicts`` (n, 6) known slots at each stage; ``omega`` (n,) the link's share of the
    government's weight (INDICATOR.md §5); ``share`` (n,) q̂: q, or the value imputed for it.
    """

    window_days: int
    ids: tuple[str, ...]
    slots: NDArray[np.int64]
    verdicts: NDArray[np.int64]
    omega: NDArray[np.float64]
    share: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ExchangeVolume:
    """Exchanges between one consumer and one provider; ``last_slot`` in epoch seconds."""

    consumer: str
    provider: str
    meta: bool
    count: int
    ok: int
    bus_failures: int
    provider_failures: int
    last_slot: int


@dataclass(frozen=True, slots=True)
class Block:
    """One value of the bucket: indicators that share as_of and versions, and the evidence behind their links.

    ``structures`` and ``traffic``, a window each, are the government's; ``reconciliations`` are of links.
    """

    indicators: tuple[Indicator, ...]
    links: tuple[LinkEvidence, ...] = ()
    exchanges: tuple[ExchangeVolume, ...] = ()
    structures: tuple[Structure, ...] = ()
    reconciliations: tuple[Reconciliation, ...] = ()
    traffic: tuple[Traffic, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class BlockColumns:
    """A block as it is encoded: n indicators as columns, and the evidence behind their links.

    ``kinds`` (n,) numbers of Kind, ``ids`` (n,) str objects, ``window_days`` (n,). ``shares`` (14, n): point, lower,
    upper, known share, the five losses by stage, strict point, lower and upper, interval low and high; NaN means unset.
    ``counts`` (3, n): links required, known and absent. ``level`` (n,), -1 where there is none.
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
    links: tuple[LinkEvidence, ...] = ()
    exchanges: tuple[ExchangeVolume, ...] = ()
    structures: tuple[Structure, ...] = ()
    reconciliations: tuple[Reconciliation, ...] = ()
    traffic: tuple[Traffic, ...] = ()


@dataclass(frozen=True, slots=True)
class SlotBlock:
    """One consumer's links, then endpoints, over consecutive slots; all arrays hold Outcome and Reason numbers.

    ``verdict`` (slots, targets); ``outcome`` and ``reason`` (slots, targets, vantages), uint8, 0 = no measurement.
    """

    slot_seconds: int
    first_slot: int
    links: tuple[str, ...]
    endpoints: tuple[str, ...]
    vantages: tuple[str, ...]
    verdict: NDArray[np.uint8]
    outcome: NDArray[np.uint8]
    reason: NDArray[np.uint8]
    evidence_sequence: int = 0


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else value


def encode_block(block: BlockColumns) -> bytes:
    """An IndicatorBlock that does not say yet up to which message the evidence was read: ``stamp_block`` adds it."""
    return block_pb2.IndicatorBlock(
        as_of=timestamp(block.as_of),
        register_version=block.register_version,
        probe_version=block.probe_version,
        method_version=block.method_version,
        interval_level=block.interval_level,
        kind=block.kinds.tolist(),
        id=block.ids.tolist(),
        window_days=block.window_days.tolist(),
        links=map(_link_evidence_message, block.links),
        exchanges=map(volume_to_message, block.exchanges),
        level=block.level.tolist(),
        structures=map(structure_to_message, block.structures),
        reconciliations=map(reconciliation_to_message, block.reconciliations),
        traffic=map(traffic_to_message, block.traffic),
        **dict(zip(_SHARES, block.shares.tolist(), strict=True)),
        **dict(zip(_COUNTS, block.counts.tolist(), strict=True)),
    ).SerializeToString()


def stamp_block(payload: bytes, evidence_sequence: int) -> bytes:
    """The same block, computed from evidence up to this message: two messages, one after the other, are merged."""
    return payload + block_pb2.IndicatorBlock(evidence_sequence=evidence_sequence).SerializeToString()


def _link_evidence_message(evidence: LinkEvidence) -> block_pb2.LinkEvidence:
    return block_pb2.LinkEvidence(
        window_days=evidence.window_days,
        id=evidence.ids,
        slots=evidence.slots.tolist(),
        omega=evidence.omega.tolist(),
        share=evidence.share.tolist(),
        **{stage: evidence.verdicts[:, i].tolist() for i, stage in enumerate(_STAGES)},
    )


def volume_to_message(volume: ExchangeVolume) -> block_pb2.ExchangeVolume:
    """The message of what one pair of agencies exchanged."""
    return block_pb2.ExchangeVolume(
        consumer=volume.consumer,
        provider=volume.provider,
        meta=volume.meta,
        count=volume.count,
        ok=volume.ok,
        bus_failures=volume.bus_failures,
        provider_failures=volume.provider_failures,
        last_slot=timestamp(volume.last_slot),
    )


def decode_block(payload: bytes) -> Block:
    """The block a value holds. Raises ValueError when the payload is not a consistent IndicatorBlock."""
    try:
        message = block_pb2.IndicatorBlock.FromString(payload)
    except DecodeError as error:
        raise ValueError("not an IndicatorBlock") from error
    return Block(
        tuple(_indicators(message)),
        tuple(map(_link_evidence, message.links)),
        tuple(map(_exchange, message.exchanges)),
        tuple(structure_from_message(one, message) for one in message.structures),
        tuple(map(reconciliation_from_message, message.reconciliations)),
        tuple(map(traffic_from_message, message.traffic)),
    )


def _indicators(message: block_pb2.IndicatorBlock) -> Iterator[Indicator]:
    # Iterating a repeated field is several times cheaper than indexing it row by row.
    rows = zip(
        message.kind,
        message.id,
        message.window_days,
        message.point,
        message.lower,
        message.upper,
        message.known_share,
        zip(message.not_connected, message.not_answered, message.invalid, message.late, message.stale, strict=True),
        zip(message.strict_point, message.strict_lower, message.strict_upper, strict=True),
        _intervals(message),
        message.links_required,
        message.links_known,
        message.links_absent,
        message.level or [-1] * len(message.kind),
        strict=True,
    )
    as_of = message.as_of.seconds
    for (
        kind,
        name,
        window,
        point,
        lower,
        upper,
        known,
        losses,
        strict,
        interval,
        required,
        links_known,
        absent,
        level,
    ) in rows:
        strict_point, strict_lower, strict_upper = strict
        yield Indicator(
            kind=Kind(kind),
            id=name,
            window_days=window,
            as_of=as_of,
            point=_or_none(point),
            lower=lower,
            upper=upper,
            known_share=known,
            losses=Losses(*losses),
            strict=None if math.isnan(strict_lower) else Strict(_or_none(strict_point), strict_lower, strict_upper),
            interval=interval,
            links_required=required,
            links_known=links_known,
            links_absent=absent,
            level=None if level < 0 else level,
            register_version=message.register_version,
            probe_version=message.probe_version,
            method_version=message.method_version,
            evidence_sequence=message.evidence_sequence,
        )


def _intervals(message: block_pb2.IndicatorBlock) -> Iterator[Interval | None]:
    if not message.interval_low:  # a block of the time before there were intervals
        yield from repeat(None, len(message.id))
    for low, high in zip(message.interval_low, message.interval_high, strict=True):
        yield None if math.isnan(low) else Interval(low, high, message.interval_level)


def _link_evidence(message: block_pb2.LinkEvidence) -> LinkEvidence:
    return LinkEvidence(
        message.window_days,
        tuple(message.id),
        np.array(message.slots, np.int64),
        np.array([getattr(message, stage) for stage in _STAGES], np.int64).T,
        np.array(message.omega, np.float64),
        np.array(message.share, np.float64),
    )


def _exchange(message: block_pb2.ExchangeVolume) -> ExchangeVolume:
    return ExchangeVolume(
        message.consumer,
        message.provider,
        message.meta,
        message.count,
        message.ok,
        message.bus_failures,
        message.provider_failures,
        message.last_slot.seconds,
    )


def encode_slot_block(block: SlotBlock) -> bytes:
    """A SlotBlock message."""
    return block_pb2.SlotBlock(
        slot_seconds=block.slot_seconds,
        first_slot=block.first_slot,
        slots=len(block.verdict),
        links=block.links,
        endpoints=block.endpoints,
        vantages=block.vantages,
        verdict=block.verdict.tobytes(),
        outcome=block.outcome.tobytes(),
        reason=block.reason.tobytes(),
        evidence_sequence=block.evidence_sequence,
    ).SerializeToString()


def decode_slot_block(payload: bytes) -> SlotBlock:
    """The slots a value holds. Raises ValueError when the payload is not a SlotBlock."""
    try:
        message = block_pb2.SlotBlock.FromString(payload)
    except DecodeError as error:
        raise ValueError("not a SlotBlock") from error
    shape = (message.slots, len(message.links) + len(message.endpoints), len(message.vantages))
    return SlotBlock(
        message.slot_seconds,
        message.first_slot,
        tuple(message.links),
        tuple(message.endpoints),
        tuple(message.vantages),
        _cells(message.verdict, shape[:2]),
        _cells(message.outcome, shape),
        _cells(message.reason, shape),
        message.evidence_sequence,
    )


def _cells(data: bytes, shape: Sequence[int]) -> NDArray[np.uint8]:
    return np.frombuffer(data, np.uint8).reshape(shape)
