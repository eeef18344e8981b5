"""What became of the records of a batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from services.collector.ledger.counting import MOST_SIDES
from services.collector.records import RecordBatch, Reject, Side

_TOO_MANY = f"{MOST_SIDES} other records have its xRequestId"


@dataclass(frozen=True, slots=True)
class BatchResult:
    """Numbers of records in batches.

    ``read`` are all records. Of these, ``expired`` ones are older than the pairing span or than everything that was
    requested, or more than a day ahead of the clock. ``rejected`` counts lines and ``refused``. ``paired`` is how many
    more exchanges have both sides. ``refused`` are records rejected here because their request id has too many sides. A
    sum of results does not keep them.
    """

    read: int = 0
    duplicates: int = 0
    expired: int = 0
    rejected: int = 0
    paired: int = 0
    refused: tuple[Reject, ...] = ()

    def __add__(self, other: BatchResult) -> BatchResult:
        return BatchResult(
            self.read + other.read,
            self.duplicates + other.duplicates,
            self.expired + other.expired,
            self.rejected + other.rejected,
            self.paired + other.paired,
        )


def rejects(batch: RecordBatch, refused: Sequence[Side]) -> tuple[Reject, ...]:
    """Return the rejects for the sides of a batch that were refused, usually none."""
    if not refused:
        return ()
    ids = set(map(id, refused))
    return tuple(batch.reject(index, _TOO_MANY) for index, side in enumerate(batch.sides) if id(side) in ids)
