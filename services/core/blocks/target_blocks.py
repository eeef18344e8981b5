"""Encodes and decodes SlotBlocks and RecentBlocks: links and endpoints by slot, and their latest measurements."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from peyvand.v1 import block_pb2
from services.core.blocks.compression import compress_block, parse_block
from services.core.model import FACTS, RecentRows, Target

_COLUMNS = ("target", "vantage", "slot_start", "time", "outcome", "reason", *FACTS)


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


def encode_slot_block(block: SlotBlock) -> bytes:
    """Encode a SlotBlock without its evidence sequence, which ``stamp_slot_block`` adds."""
    message = block_pb2.SlotBlock(
        slot_seconds=block.slot_seconds,
        first_slot=block.first_slot,
        slots=len(block.verdict),
        links=block.links,
        endpoints=block.endpoints,
        vantages=block.vantages,
        verdict=block.verdict.tobytes(),
        outcome=block.outcome.tobytes(),
        reason=block.reason.tobytes(),
    )
    return compress_block(block_pb2.SlotBlock, message.SerializeToString())


def stamp_slot_block(payload: bytes, evidence_sequence: int) -> bytes:
    """Return the block with its evidence sequence: protobuf merges two messages that follow each other."""
    return payload + block_pb2.SlotBlock(evidence_sequence=evidence_sequence).SerializeToString()


def decode_slot_block(payload: bytes) -> SlotBlock:
    """Decode a SlotBlock. Raises ValueError when the payload is not one."""
    message = parse_block(block_pb2.SlotBlock, payload)
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


@dataclass(frozen=True, slots=True)
class RecentBlock:
    """One value of the bucket: measurements as rows, and counts of slots.

    In ``latest`` and ``failures``, targets and vantages are positions in ``targets`` and ``vantages``. ``burn_known``
    and ``burn_failed`` (spans, links) count slots; they have no span where slots are not counted.
    """

    links: tuple[str, ...]
    endpoints: tuple[str, ...]
    vantages: tuple[str, ...]
    latest: RecentRows
    failures: RecentRows
    burn_known: NDArray[np.int64]
    burn_failed: NDArray[np.int64]
    evidence_sequence: int = 0

    @property
    def targets(self) -> tuple[Target, ...]:
        """The targets that rows refer to by position."""
        return (*map(Target, self.links), *(Target(name, endpoint=True) for name in self.endpoints))


def encode_recent(block: RecentBlock) -> bytes:
    """Encode a RecentBlock without its evidence sequence, which ``stamp_recent`` adds."""
    details = ["", *sorted({*block.latest.details, *block.failures.details} - {""})]
    index = {text: number for number, text in enumerate(details)}
    message = block_pb2.RecentBlock(
        links=block.links,
        endpoints=block.endpoints,
        vantages=block.vantages,
        details=details,
        latest=_rows(block.latest, index),
        failures=_rows(block.failures, index),
        burn_known=block.burn_known.ravel().tolist(),
        burn_failed=block.burn_failed.ravel().tolist(),
    )
    return compress_block(block_pb2.RecentBlock, message.SerializeToString())


def stamp_recent(payload: bytes, evidence_sequence: int) -> bytes:
    """Return the block with its evidence sequence: protobuf merges two messages that follow each other."""
    return payload + block_pb2.RecentBlock(evidence_sequence=evidence_sequence).SerializeToString()


def _rows(columns: RecentRows, index: dict[str, int]) -> block_pb2.RecentRows:
    return block_pb2.RecentRows(
        **dict(zip(_COLUMNS, columns.numbers.tolist(), strict=True)),
        detail=[index[text] for text in columns.details.tolist()],
    )


def decode_recent(payload: bytes) -> RecentBlock:
    """Decode a RecentBlock. Raises ValueError when the payload is not a consistent one."""
    message = parse_block(block_pb2.RecentBlock, payload)
    details = np.array(message.details, dtype=np.object_)
    links = len(message.links)
    try:
        burns = (
            np.array(counts, np.int64).reshape(-1, links) if links else np.zeros((0, 0), np.int64)
            for counts in (message.burn_known, message.burn_failed)
        )
        known, failed = burns
        return RecentBlock(
            links=tuple(message.links),
            endpoints=tuple(message.endpoints),
            vantages=tuple(message.vantages),
            latest=_columns(message.latest, details),
            failures=_columns(message.failures, details),
            burn_known=known,
            burn_failed=failed,
            evidence_sequence=message.evidence_sequence,
        )
    except (ValueError, IndexError) as error:
        raise ValueError("a RecentBlock with columns of different lengths") from error


def _columns(message: block_pb2.RecentRows, details: NDArray[np.object_]) -> RecentRows:
    numbers = np.array([np.array(getattr(message, name), np.int64) for name in _COLUMNS])
    detail = details[np.array(message.detail, np.int64)] if message.detail else np.zeros(0, np.object_)
    if numbers.ndim != 2 or numbers.shape[1] != len(detail):
        raise ValueError("columns of different lengths")
    return RecentRows(numbers, detail)
