"""Computes digests of what the index says about each agency, from whole columns. Pure.

After a late arrival most agencies' blocks are unchanged. Cutting and hashing each block took longer than computing the
index.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from services.core.model import IndicatorKind
from services.indicator.index import Snapshot
from services.scorer.index import AgencyMembers
from services.scorer.publishing.columns import counts_of, shares_of

_MEMBERS = (IndicatorKind.CONSUMER, IndicatorKind.SERVICE, IndicatorKind.LINK, IndicatorKind.ENDPOINT)
_FACTOR = np.uint64(0x9E3779B97F4A7C15)  # odd, so that no step below maps two numbers to the same one
_SHIFT = np.uint64(29)


def agency_digests(snapshot: Snapshot, members: Mapping[str, AgencyMembers]) -> dict[str, bytes]:
    """Return a digest of 8 bytes for each agency, over the numbers and the evidence of its own rows in all windows.

    Digests of two snapshots of one register are equal where an agency's rows are equal. Otherwise they are equal once
    in 2⁶⁴. Ranks are not included.
    """
    digests = np.zeros(len(members), dtype=np.uint64)
    seed = 0
    for kind in _MEMBERS:
        by_agency = [own.rows[kind] for own in members.values()]
        rows = np.concatenate(by_agency) if by_agency else np.zeros(0, dtype=np.int64)
        ends = list(accumulate(map(len, by_agency), initial=0))
        for days in snapshot.windows:
            columns = snapshot.columns[kind, days]
            seed += 1
            hashes = _row_hashes(seed, [*shares_of(columns), *counts_of(columns), columns.level])
            hashes[~columns.applies] = 0
            digests += _sums(hashes[rows], ends)
            if kind is IndicatorKind.LINK:
                links = snapshot.links[days]
                evidence = _row_hashes(-seed, [links.slots, *links.counts, links.omega, links.share])
                digests += _sums(evidence[rows], ends)
    return dict(zip(members, (digest.tobytes() for digest in digests), strict=True))


def _row_hashes(seed: int, columns: Iterable[NDArray[np.generic]]) -> NDArray[np.uint64]:
    """Return a hash of each row that depends on its position and on every bit of its columns."""
    hashes: NDArray[np.uint64] | None = None
    for column in columns:
        wide = column if column.dtype.itemsize == np.uint64().itemsize else column.astype(np.int64)
        bits = np.ascontiguousarray(wide).view(np.uint64)
        if hashes is None:
            hashes = (np.arange(len(bits)) + (seed << 40)).astype(np.uint64) * _FACTOR
        hashes ^= bits
        hashes *= _FACTOR
        hashes ^= hashes >> _SHIFT
    assert hashes is not None
    return hashes


def _sums(hashes: NDArray[np.uint64], ends: Sequence[int]) -> NDArray[np.uint64]:
    """Return the sum over the rows of each agency, which begin where those of the agency before it end."""
    sums = np.concatenate([np.zeros(1, np.uint64), np.cumsum(hashes, dtype=np.uint64)])[ends]
    return np.diff(sums)
