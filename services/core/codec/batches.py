"""The place of a batch of measurements among those of its prober (docs/design.md §5.3)."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from google.protobuf.message import DecodeError

from peyvand.v1 import measurement_pb2

RUN_BYTES: Final = 16
_LARGEST_NUMBER: Final = (
    1 << 53
)  # a double holds it exactly; a run of a batch a millisecond reaches it after 285,000 years


@dataclass(frozen=True, slots=True)
class ChainPlace:
    """The place of a batch: the run of its prober, its number in it, and the SHA-256 of the batch before; empty in the first."""

    run: bytes
    number: int
    previous: bytes = b""

    def next(self, payload: bytes) -> ChainPlace:
        """Return the place after this one, whose batch is ``payload`` as published."""
        return ChainPlace(self.run, self.number + 1, sha256(payload).digest())

    @property
    def sound(self) -> bool:
        """Whether a prober can have made it."""
        hash_bytes = 0 if self.number == 1 else sha256().digest_size
        return (
            len(self.run) == RUN_BYTES and 0 < self.number < _LARGEST_NUMBER and len(self.previous) in (0, hash_bytes)
        )


@dataclass(frozen=True, slots=True)
class BatchSender:
    """Who says to have sent a batch, and its place; None where it has none, or one that no prober gives."""

    vantage: str
    prober: str
    place: ChainPlace | None


def decode_sender(payload: bytes) -> BatchSender:
    """Return the sender of a batch. Raises ValueError when the payload is not a MeasurementBatch.

    It is decoded apart from the columns because few readers ask for it.
    """
    try:
        batch = measurement_pb2.MeasurementBatch.FromString(payload)
    except DecodeError as error:
        raise ValueError("not a MeasurementBatch") from error
    place = ChainPlace(batch.run, batch.number, batch.previous)
    return BatchSender(batch.vantage, batch.prober, place if place.sound else None)
