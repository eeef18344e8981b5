"""The rates at which links burn their error budgets, from slot verdicts (docs/alerts.md).

A link's SLO leaves a budget of 1 - slo. Over a span of slots, burn = (failed known slots / known slots) / budget: at 1 the
budget is used up exactly as fast as it accrues. Slots that are unknown, or in which the link is not live, do not count.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any
from zlib import compress, decompress

import numpy as np
from numpy.typing import NDArray

from services.core.model import Stage
from services.indicator.array_types import Codes, Floats, Ints
from services.indicator.register_arrays import RegisterArrays


@dataclass(frozen=True, slots=True)
class BurnSpan:
    """A span of time over which a burn rate above ``threshold`` raises an alert."""

    label: str
    seconds: int
    threshold: float


SPANS = (
    BurnSpan("1h", 3600, 14.4),
    BurnSpan("6h", 6 * 3600, 6.0),
    BurnSpan("1d", 86_400, 3.0),
    BurnSpan("3d", 3 * 86_400, 1.0),
)

LEAST_FAILED = 3
"""The fewest failed slots in a span that count as burning: one slot is a large share of an hour."""

TOLERANCE = 1e-12  # .72 / .05 is 14.4, but not in double precision
CELLS = 1 << 26  # verdicts read at a time when everything is counted again,
COUNTED_CELLS = 1 << 21  # and counted at a time, since that takes several times their memory

Integer = np.signedinteger[Any]

Verdicts = Callable[[range], Iterable[tuple[range, Codes]]]
"""Consecutive pieces of some slots, each with its verdicts (slots, n links): a stage, or -1 where unknown or not live."""


@dataclass(frozen=True, slots=True)
class BurningLinks:
    """Links that burn over one span: positions in the register and their burn rates, fastest first."""

    span: BurnSpan
    links: Ints
    burn: Floats


def burn(known: NDArray[Integer], failed: NDArray[Integer], slo: Floats) -> Floats:
    """Compute burn rates; 0 where nothing is known. The register keeps ``slo`` strictly between 0 and 1."""
    share = np.zeros(np.broadcast_shapes(known.shape, slo.shape))
    np.divide(failed, known, out=share, where=known > 0)
    rate: Floats = share / (1.0 - slo)
    return rate


def burning_links(known: NDArray[Integer], failed: NDArray[Integer], slo: Floats) -> tuple[BurningLinks, ...]:
    """Return the burning links of each of SPANS. ``known`` and ``failed`` slots are (spans, n), ``slo`` (n,)."""
    burning = []
    for span, span_known, span_failed in zip(SPANS, known, failed, strict=True):
        links = np.flatnonzero(span_failed >= LEAST_FAILED)
        rate = burn(span_known[links], span_failed[links], slo[links])
        fast = rate >= span.threshold * (1.0 - TOLERANCE)
        links, rate = links[fast], rate[fast]
        order = np.argsort(-rate, kind="stable")
        burning.append(BurningLinks(span, links[order], rate[order]))
    return tuple(burning)


class BurnCounter:
    """Known and failed slots of every link over SPANS, updated slot by slot as slots arrive, change and expire.

    Two bits per slot and link of the longest span are kept, so that a slot is subtracted as it was added.
    """

    def __init__(self, slot_seconds: int) -> None:
        self._lengths = [max(1, span.seconds // slot_seconds) for span in SPANS]
        self._arrays: RegisterArrays | None = None
        self._end = 0
        self._slots: dict[int, tuple[bytes, bytes]] = {}
        self.known = self.failed = np.zeros((len(SPANS), 0), dtype=np.int32)

    def pieces(
        self, arrays: RegisterArrays, end_slot: int, changed: Iterable[int], verdicts: Verdicts
    ) -> Iterator[None]:
        """Count the spans that end at ``end_slot`` exclusive, in pieces; the counts are right after the last one.

        ``changed`` are the slots whose verdicts may have changed since the last update; slots that change in between wait
        for the next one. With a new register, or an end before the last one, everything is counted again.
        """
        window = range(end_slot - max(self._lengths), end_slot)
        if arrays is not self._arrays or end_slot < self._end:
            self._arrays, self._slots = arrays, {}
            self.known = np.zeros((len(SPANS), len(arrays.links)), dtype=np.int32)
            self.failed = self.known.copy()
            self._end, fresh = window.start, set(window)
        else:
            fresh = {slot for slot in changed if slot in window} | set(range(max(self._end, window.start), end_slot))
        for slot in fresh & self._slots.keys():
            for row, length in enumerate(self._lengths):
                if self._end - length <= slot < self._end:
                    self._subtract(row, slot)
            del self._slots[slot]
        for row, length in enumerate(self._lengths):
            for slot in range(self._end - length, min(self._end, end_slot - length)):
                self._subtract(row, slot)
        self._end = end_slot
        for run in _runs(sorted(fresh), max(1, CELLS // max(1, len(arrays.links)))):
            for slots, reached in verdicts(run):
                self._add(slots, reached)
                yield
        for slot in [slot for slot in self._slots if slot < window.start]:
            del self._slots[slot]

    def _add(self, slots: range, reached: Codes) -> None:
        step = max(1, COUNTED_CELLS // max(1, reached.shape[1]))
        for first in range(0, len(slots), step):
            self._add_few(slots[first : first + step], reached[first : first + step])

    def _add_few(self, run: range, reached: Codes) -> None:
        known = reached >= 0
        failed = known & (reached < Stage.OK)
        bits = np.packbits(known, axis=1), np.packbits(failed, axis=1)
        for row in np.flatnonzero(known.any(axis=1)).tolist():
            # Most links are known and few fail: compressed, three days of a million links take little memory.
            self._slots[run.start + row] = compress(bits[0][row].tobytes(), 1), compress(bits[1][row].tobytes(), 1)
        for row, length in enumerate(self._lengths):
            inside = max(0, self._end - length - run.start)
            self.known[row] += known[inside:].sum(axis=0)
            self.failed[row] += failed[inside:].sum(axis=0)

    def _subtract(self, row: int, slot: int) -> None:
        bits = self._slots.get(slot)
        if bits is not None:
            for counts, packed in zip((self.known, self.failed), bits, strict=True):
                counts[row] -= np.unpackbits(np.frombuffer(decompress(packed), np.uint8), count=counts.shape[1])


def _runs(slots: list[int], longest: int) -> Iterable[range]:
    """Yield consecutive slots as ranges of at most ``longest``."""
    breaks = [row for row in range(1, len(slots)) if slots[row] != slots[row - 1] + 1]
    for start, end in zip([0, *breaks], [*breaks, len(slots)], strict=True):
        run = range(slots[start], slots[end - 1] + 1) if end > start else range(0)
        yield from (run[first : first + longest] for first in range(0, len(run), longest))
