"""Failures of a whole day charged to their causes, a few providers at a time (docs/method.md §6, Causes).

The rules are those of ``cause_states``; slots are bits here, so that a day of a million links takes a second.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from services.indicator.register_arrays import RegisterArrays
from services.indicator.verdicts import closed_day as bits
from services.indicator.verdicts.causes import CauseSums, sum_states
from services.indicator.verdicts.closed_day import Words

__all__ = ["CELLS", "charge", "groups"]

CELLS: Final = 1 << 20
"""Slots of targets that are taken apart at a time, so that they fit the processor's cache."""

PIECE_CELLS: Final = 4 * CELLS
"""Slots of links whose bits are looked at between two pauses."""


def groups(begin: NDArray[np.int64], end: int, slots: int) -> Iterator[tuple[slice, slice]]:
    """Cut groups that lie one after another into pieces of whole groups, of PIECE_CELLS or a single group each.

    ``begin`` (g,) is where each group begins, ``end`` where the last ends. Yields which groups, and which rows they have.
    """
    piece = max(1, PIECE_CELLS // max(1, slots))
    edges = np.append(begin, end)
    first = 0
    while first < len(begin):
        last = max(first + 1, int(np.searchsorted(edges, edges[first] + piece, side="right")) - 1)
        yield slice(first, last), slice(int(edges[first]), int(edges[last]))
        first = last


def charge(
    arrays: RegisterArrays,
    by_provider: NDArray[np.int64],
    known: Words,
    failed: Words,
    bus: tuple[Words, Words],
    slots: int,
    pause: int,
) -> Generator[None, None, CauseSums]:
    """Return the rows of the causes in the order of ``cause_states``, pausing after every piece.

    ``known`` and of these ``failed`` (links, w) say what was seen of live links in so many ``slots``; ``bus`` (1, w)
    likewise, of the bus. ``by_provider`` (n,) are the positions of the links sorted by provider; ``pause`` is that of
    ``pause_slots``.
    """
    agencies = len(arrays.agencies)
    rows = CauseSums.empty(1 + agencies + len(arrays.links), slots)
    bus_known, bus_failed = bus
    _enter(rows, np.zeros(1, dtype=np.int64), bus_known, bus_failed, slots, pause)
    present, begin = np.unique(arrays.provider[by_provider], return_index=True)
    for chosen, part in groups(begin, len(by_provider), slots):
        links, providers, start = by_provider[part], present[chosen], begin[chosen] - part.start
        links_known, links_failed = known.take(links, axis=0), failed.take(links, axis=0)
        provider_known = np.bitwise_or.reduceat(links_known, start, axis=0)
        provider_failed = _outvoted(links_known, links_failed, start, slots)
        # What fails while the bus is down says nothing of anybody else.
        links_known &= ~(links_failed & bus_failed)
        provider_known &= ~(provider_failed & bus_failed)
        provider_failed &= ~bus_failed
        size = np.diff(np.append(start, len(links)))
        links_failed &= ~(bus_failed | np.repeat(provider_failed, size, axis=0))
        _enter(rows, 1 + providers, provider_known, provider_failed, slots, pause)
        _enter(rows, 1 + agencies + links, links_known, links_failed, slots, pause)
        yield
    return rows


def _outvoted(known: Words, failed: Words, start: NDArray[np.int64], slots: int) -> Words:
    """Return in which slots more links of each group fail than are answered; each begins at its ``start`` (g,)."""
    found = np.zeros((len(start), known.shape[1]), dtype=np.uint64)
    suspect = np.bitwise_or.reduceat(failed, start, axis=0).any(axis=1)
    size = np.diff(np.append(start, len(known)))
    rows = np.flatnonzero(np.repeat(suspect, size))
    edges = np.cumsum(np.append(0, size[suspect]))
    votes = np.zeros((len(edges) - 1, slots), dtype=np.int32)
    step = _step(slots)
    for first in range(0, len(rows), step):
        part = rows[first : first + step]
        cast = 2 * bits.unpack(failed[part], slots).view(np.int8) - bits.unpack(known[part], slots).view(np.int8)
        inside = np.clip(edges - first, 0, len(part))
        adding = csr_array((np.ones(len(part), dtype=np.int16), np.arange(len(part)), inside))
        votes += adding @ cast.astype(np.int16)
    found[suspect] = bits.pack(votes > 0)
    return found


def _enter(rows: CauseSums, causes: NDArray[np.int64], known: Words, failed: Words, slots: int, pause: int) -> None:
    """Enter the rows of these ``causes`` (c,), known and down in slots (c, w)."""
    kind = rows.known.dtype
    here, down = bits.count(known, kind), bits.count(failed, kind)
    rows.known[causes], rows.down[causes] = here, down
    rows.head[causes] = rows.tail[causes] = np.minimum(here, pause)
    failing = np.flatnonzero(down)
    step = _step(slots)
    for first in range(0, len(failing), step):
        part = failing[first : first + step]
        states = bits.unpack(known[part], slots) + bits.unpack(failed[part], slots)
        found = sum_states(np.ascontiguousarray(states.T).view(np.int8) - np.int8(1), pause)
        rows.outages[causes[part]] = found.outages
        rows.head[causes[part]], rows.tail[causes[part]] = found.head, found.tail


def _step(slots: int) -> int:
    return min(max(1, CELLS // max(1, slots)), np.iinfo(np.int16).max)
