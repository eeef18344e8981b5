"""Encodes and decodes SlotBlocks and RecentBlocks: links and endpoints by slot, and their latest measurements."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from peyvand.v1 import block_pb2
from services.core.blocks.compression import compress_block, evidence_stamp, parse_block
from services.core.blocks.packed import message, varints
from services.core.model import FACTS, RecentRows, Target

_COLUMNS = ("target", "vantage", "slot_start", "time", "outcome", "reason", *FACTS)
_SIGNED = frozenset(("time", *FACTS))  # columns of type sint64

_NUMBERS = {name: field.number for name, field in block_pb2.RecentBlock.DESCRIPTOR.fields_by_name.items()}
_ROW_NUMBERS = {name: field.number for name, field in block_pb2.RecentRows.DESCRIPTOR.fields_by_name.items()}


@dataclass(frozen=True, slots=True)
class SlotBlock:
    """The links, then the endpoints, of some agencies over consecutive slots; all arrays hold Outcome and Reason numbers.

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


def encode_slot_blocks(blocks: Iterable[SlotBlock]) -> list[bytes]:
    """Encode each without its evidence sequence, which ``stamp_slot_block`` adds."""
    return [_encode_slot_block(block) for block in blocks]


def _encode_slot_block(block: SlotBlock) -> bytes:
    encoded = block_pb2.SlotBlock(
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
    return compress_block(block_pb2.SlotBlock, encoded.SerializeToString())


def stamp_slot_block(payload: bytes, evidence_sequence: int) -> bytes:
    """Return the block with its evidence sequence: protobuf merges two messages that follow each other."""
    return payload + evidence_stamp(block_pb2.SlotBlock, evidence_sequence)


def decode_slot_block(payload: bytes) -> SlotBlock:
    """Decode a SlotBlock. Raises ValueError when the payload is not one."""
    parsed = parse_block(block_pb2.SlotBlock, payload)
    shape = (parsed.slots, len(parsed.links) + len(parsed.endpoints), len(parsed.vantages))
    return SlotBlock(
        parsed.slot_seconds,
        parsed.first_slot,
        tuple(parsed.links),
        tuple(parsed.endpoints),
        tuple(parsed.vantages),
        _cells(parsed.verdict, shape[:2]),
        _cells(parsed.outcome, shape),
        _cells(parsed.reason, shape),
        parsed.evidence_sequence,
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


def encode_recent_blocks(blocks: Sequence[RecentBlock]) -> list[bytes]:
    """Encode each without its evidence sequence, which ``stamp_recent`` adds. Many together take little longer than one."""
    details = [_details(block) for block in blocks]
    columns = [
        _encode_rows("latest", [block.latest for block in blocks], details),
        _encode_rows("failures", [block.failures for block in blocks], details),
        varints(_NUMBERS["burn_known"], [block.burn_known.ravel() for block in blocks]),
        varints(_NUMBERS["burn_failed"], [block.burn_failed.ravel() for block in blocks]),
    ]
    payloads = []
    for block, texts, *numbers in zip(blocks, details, *columns, strict=True):
        tables = block_pb2.RecentBlock(
            links=block.links, endpoints=block.endpoints, vantages=block.vantages, details=texts
        )
        payload = b"".join([tables.SerializeToString(), *numbers])
        payloads.append(compress_block(block_pb2.RecentBlock, payload))
    return payloads


def _details(block: RecentBlock) -> dict[str, int]:
    """Return the details of a block's measurements, each with its position in their table; the first is empty."""
    texts = ["", *sorted({*block.latest.details, *block.failures.details} - {""})]
    return {text: number for number, text in enumerate(texts)}


def _encode_rows(field: str, rows: Sequence[RecentRows], details: Sequence[Mapping[str, int]]) -> list[bytes]:
    """Encode the rows of each block as this field of it."""
    columns = [
        varints(_ROW_NUMBERS[name], [one.numbers[row] for one in rows], signed=name in _SIGNED)
        for row, name in enumerate(_COLUMNS)
    ]
    texts = [
        np.array([positions[text] for text in one.details.tolist()], dtype=np.int64)
        for one, positions in zip(rows, details, strict=True)
    ]
    columns.append(varints(_ROW_NUMBERS["detail"], texts))
    return [message(_NUMBERS[field], b"".join(own)) for own in zip(*columns, strict=True)]


def stamp_recent(payload: bytes, evidence_sequence: int) -> bytes:
    """Return the block with its evidence sequence: protobuf merges two messages that follow each other."""
    return payload + evidence_stamp(block_pb2.RecentBlock, evidence_sequence)


def decode_recent(payload: bytes) -> RecentBlock:
    """Decode a RecentBlock. Raises ValueError when the payload is not a consistent one."""
    parsed = parse_block(block_pb2.RecentBlock, payload)
    details = np.array(parsed.details, dtype=np.object_)
    links = len(parsed.links)
    positions = np.array([[links + len(parsed.endpoints)], [len(parsed.vantages)]])
    try:
        burns = (
            np.array(counts, np.int64).reshape(-1, links) if links else np.zeros((0, 0), np.int64)
            for counts in (parsed.burn_known, parsed.burn_failed)
        )
        known, failed = burns
        return RecentBlock(
            links=tuple(parsed.links),
            endpoints=tuple(parsed.endpoints),
            vantages=tuple(parsed.vantages),
            latest=_columns(parsed.latest, details, positions),
            failures=_columns(parsed.failures, details, positions),
            burn_known=known,
            burn_failed=failed,
            evidence_sequence=parsed.evidence_sequence,
        )
    except (ValueError, IndexError) as error:
        raise ValueError("a RecentBlock with columns of different lengths, or positions beyond its tables") from error


def _columns(rows: block_pb2.RecentRows, details: NDArray[np.object_], positions: NDArray[np.int64]) -> RecentRows:
    numbers = np.array([np.array(getattr(rows, name), np.int64) for name in _COLUMNS])
    detail = details[np.array(rows.detail, np.int64)] if rows.detail else np.zeros(0, np.object_)
    if numbers.ndim != 2 or numbers.shape[1] != len(detail):
        raise ValueError("columns of different lengths")
    if (numbers[:2] >= positions).any():
        raise IndexError("a row of a target or a vantage that the block lacks")
    return RecentRows(numbers, detail)
