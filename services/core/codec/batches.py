"""The place of a batch of measurements among the batches of its prober (docs/design.md §5.3)."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from peyvand.v1 import measurement_pb2
from services.core.codec.units import parse_message

RUN_BYTES: Final = 16
_LARGEST_NUMBER: Final = (
    1 << 53
)  # a double holds it exactly; at one batch per millisecond, a run reaches it after 285,000 years


@dataclass(frozen=True, slots=True)
class ChainPlace:
    """The place of a batch: its prober's run, its number in that run, and the SHA-256 of the previous batch.

    ``previous`` is empty in the first batch.
    """

    run: bytes
    number: int
    previous: bytes = b""

    def next(self, payload: bytes) -> ChainPlace:
        """Return the place of the next batch; ``payload`` is the batch at this place, as published."""
        return ChainPlace(self.run, self.number + 1, sha256(payload).digest())

    @property
    def sound(self) -> bool:
        """Whether a prober can have produced this place."""
        hash_bytes = 0 if self.number == 1 else sha256().digest_size
        return (
            len(self.run) == RUN_BYTES and 0 < self.number < _LARGEST_NUMBER and len(self.previous) in (0, hash_bytes)
        )


@dataclass(frozen=True, slots=True)
class BatchSender:
    """The sender that a batch names, and its place; None when it has no place, or one that no prober produces."""

    vantage: str
    prober: str
    place: ChainPlace | None


def decode_sender(payload: bytes) -> BatchSender:
    """Return the sender of a batch. Raises ValueError when the payload is not a MeasurementBatch.

    It is decoded separately from the columns because few readers need it.
    """
    batch = parse_message(measurement_pb2.MeasurementBatch, payload)
    place = ChainPlace(batch.run, batch.number, batch.previous)
    return BatchSender(batch.vantage, batch.prober, place if place.sound else None)
