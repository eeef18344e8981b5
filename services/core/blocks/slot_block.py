"""SlotBlocks of KV bucket `indicator`: an agency's links and endpoints, slot by slot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from google.protobuf.message import DecodeError
from numpy.typing import NDArray

from peyvand.v1 import block_pb2


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
    ).SerializeToString()


def stamp_slot_block(payload: bytes, evidence_sequence: int) -> bytes:
    """Return the block with its evidence sequence: protobuf merges two messages that follow each other."""
    return payload + block_pb2.SlotBlock(evidence_sequence=evidence_sequence).SerializeToString()


def decode_slot_block(payload: bytes) -> SlotBlock:
    """Decode a SlotBlock. Raises ValueError when the payload is none."""
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
