"""What a summary tells beside its counts, as numbers that add up: sizes, repeats and durations (docs/exchange.md §3)."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.core.checked_rows import DamagedDatabaseError
from services.core.model import DURATION_BUCKETS, ExchangeSummary

COUNTS: Final = 3
"""Exchanges, how many of them were ok, and how many failed on the bus."""

DETAILS: Final = 3 + DURATION_BUCKETS
"""Bytes, repeats, the exchanges among which these were counted, and durations by bucket."""

_MOST_BYTES: Final = 1 << 50
"""What counts of a summary's bytes, so that an hour of a summary each second does not overflow."""

_MOST_COUNTED: Final = 1 << 30
"""What counts of an hour's exchanges in one bucket: 300,000 a second, so that 32 bits hold it."""


def details_of(summary: ExchangeSummary) -> NDArray[np.int64]:
    """Return the details of a summary, (DETAILS,)."""
    size = min(summary.request_bytes + summary.response_bytes, _MOST_BYTES)
    repeats, counted = (0, 0) if summary.repeats is None else (summary.repeats, summary.count)
    return np.array([size, repeats, counted, *summary.duration_buckets], np.int64)


def pack(details: NDArray[np.int64]) -> bytes:
    """Pack details, byte by byte of all numbers: most of the higher ones are zero, and take no space."""
    planes = np.ascontiguousarray(details, "<i8").view(np.uint8).reshape(-1, 8).T
    return zlib.compress(planes.tobytes(), 1)


def unpack(packed: bytes | None, columns: int) -> NDArray[np.int64]:
    """Return details, (DETAILS, columns), that were packed; zeros of None. Raises DamagedDatabaseError for anything else."""
    if packed is None:
        return np.zeros((DETAILS, columns), np.int64)
    try:
        planes = np.frombuffer(zlib.decompress(packed), np.uint8).reshape(8, DETAILS * columns)
    except (zlib.error, ValueError, TypeError) as error:
        raise DamagedDatabaseError("details of exchanges") from error
    return np.ascontiguousarray(planes.T).view("<i8").reshape(DETAILS, columns)


@dataclass(frozen=True, slots=True, eq=False)
class FlowSteps:
    """Of f flows in h steps: ``counts`` (3, f, h); ``size`` in bytes, ``repeats``, and the exchanges among which these were ``counted``, (f, h);
    ``durations`` by bucket (f, h, b). What was not known when it was taken in is missing in sums, and so in their number.
    """

    counts: NDArray[np.int64]
    size: NDArray[np.int64]
    repeats: NDArray[np.int64]
    counted: NDArray[np.int64]
    durations: NDArray[np.int32]

    @classmethod
    def empty(cls, flows: int, steps: int) -> FlowSteps:
        """Return steps without any exchange."""
        size, repeats, counted = np.zeros((DETAILS - DURATION_BUCKETS, flows, steps), np.int64)
        durations = np.zeros((flows, steps, DURATION_BUCKETS), np.int32)
        return cls(np.zeros((COUNTS, flows, steps), np.int64), size, repeats, counted, durations)

    def add(self, flow: int, steps: slice, counts: NDArray[np.integer], details: NDArray[np.int64]) -> None:
        """Add counts (3, n) and details (DETAILS, n) to n steps of a flow."""
        self.counts[:, flow, steps] += counts
        size, repeats, counted, *_ = details
        self.size[flow, steps] += size
        self.repeats[flow, steps] += repeats
        self.counted[flow, steps] += counted
        self.durations[flow, steps] += np.minimum(details[-DURATION_BUCKETS:], _MOST_COUNTED).T.astype(np.int32)
