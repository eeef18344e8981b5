"""Packs sizes, repeats and durations, which summaries hold beside their counts, as numbers (docs/exchange.md §3)."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.core.checked_rows import DamagedDatabaseError
from services.core.model import DURATION_BUCKETS, ExchangeSummary

COUNTS: Final = 3
"""The number of counts: exchanges, those that were ok, and those that failed on the bus."""

DETAILS: Final = 3 + DURATION_BUCKETS
"""The number of details: bytes, repeats, the exchanges among which repeats were counted, and durations by bucket."""

_MOST_BYTES: Final = 1 << 50
"""The most bytes of a summary that count, so that an hour with a summary for each second does not overflow."""

_MOST_COUNTED: Final = 1 << 30
"""The most exchanges of an hour in one bucket that count: 300,000 a second, so that 32 bits hold them."""


def details_of(summary: ExchangeSummary) -> NDArray[np.int64]:
    """Return the details of a summary, (DETAILS,)."""
    size = min(summary.request_bytes + summary.response_bytes, _MOST_BYTES)
    repeats, counted = (0, 0) if summary.repeats is None else (summary.repeats, summary.count)
    return np.array([size, repeats, counted, *summary.duration_buckets], np.int64)


def pack(details: NDArray[np.int64]) -> bytes:
    """Pack details, the same byte of all numbers together: most of the higher ones are zero, and take no space."""
    planes = np.ascontiguousarray(details, "<i8").view(np.uint8).reshape(-1, 8).T
    return zlib.compress(planes.tobytes(), 1)


def unpack(packed: bytes | None, columns: int) -> NDArray[np.int64]:
    """Return packed details, (DETAILS, columns); zeros for None. Raises DamagedDatabaseError for anything else."""
    if packed is None:
        return np.zeros((DETAILS, columns), np.int64)
    try:
        planes = np.frombuffer(zlib.decompress(packed), np.uint8).reshape(8, DETAILS * columns)
    except (zlib.error, ValueError, TypeError) as error:
        raise DamagedDatabaseError("details of exchanges") from error
    return np.ascontiguousarray(planes.T).view("<i8").reshape(DETAILS, columns)


@dataclass(frozen=True, slots=True, eq=False)
class FlowSteps:
    """What f flows exchanged in h steps.

    ``counts`` is (3, f, h). ``size`` in bytes, ``repeats``, and ``counted``, the exchanges among which repeats were
    counted, are (f, h). ``durations`` by bucket is (f, h, b). Details that were not known when they were ingested are
    missing from the sums, and so from the number of exchanges that they cover.
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
