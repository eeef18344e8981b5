"""What intervals look back on: outages of causes and daily losses of sets, summed day by day (docs/method.md §6)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from services.core.model import IndicatorKind, Stage
from services.indicator.array_types import Floats, Ints
from services.indicator.intervals.outages import OutageAccumulator, OutageTotals
from services.indicator.intervals.sets import LinkSets
from services.indicator.register_arrays import RegisterArrays
from services.indicator.shares import group_sums, ratio
from services.indicator.verdicts import CauseSums, DayEvidence

__all__ = ["AGGREGATES", "HistorySums"]

AGGREGATES: Final = (
    IndicatorKind.GOVERNMENT,
    IndicatorKind.SECTOR,
    IndicatorKind.CONSUMER,
    IndicatorKind.PROVIDER,
    IndicatorKind.SERVICE,
)
"""The kinds that are sets of links."""

# The last days of a span may still be open: their rows are others at the next look.
OPEN_DAYS: Final = 3


class HistorySums:
    """Sums of days that stay the same from one look at the evidence to the next.

    It is a memory and no more: what it returns depends on the arguments alone. A day is known again by its rows, which
    the evidence hands out as the same objects as long as they say the same.
    """

    def __init__(self) -> None:
        self._arrays: RegisterArrays | None = None
        self._sums: dict[int, tuple[Sequence[CauseSums], OutageAccumulator]] = {}
        self._met: dict[int, tuple[Sequence[CauseSums], Ints]] = {}
        self._losses: dict[int, tuple[CauseSums, Mapping[IndicatorKind, Floats]]] = {}
        self._sets: dict[IndicatorKind, LinkSets] = {}

    def spells(self, window: int, days: Sequence[DayEvidence], slot_seconds: int) -> OutageTotals:
        """Sum the causes over days; ``window``, its length in days, tells apart spans that are asked for by turns."""
        rows = [day.causes for day in days]
        settled = rows[:-OPEN_DAYS]
        kept, total = self._sums.get(window, ((), None))
        if total is None or not _begin(kept, settled):
            kept, total = (), OutageAccumulator(len(rows[0]), slot_seconds)
        for row in settled[len(kept) :]:
            total.add(row)
        self._sums[window] = (settled, total)
        total = total.copy()
        for row in rows[-OPEN_DAYS:]:
            total.add(row)
        return total.spells()

    def met(self, window: int, days: Sequence[DayEvidence], agencies: int) -> Ints:
        """Count each link's live known slots (n,) that surely fell into the bus's downtime; ``window`` as in ``spells``.

        Of a day those that failed with the bus; or where fewer slots are unknown than the bus was down in, at least the rest
        of the latter.
        """
        rows = [day.causes for day in days]
        settled = rows[:-OPEN_DAYS]
        kept, total = self._met.get(window, ((), None))
        if total is None or not _begin(kept, settled):
            kept, total = (), np.zeros(len(rows[0]) - 1 - agencies, dtype=np.int64)
        for day in days[len(kept) : len(settled)]:
            _meet(total, day)
        self._met[window] = (settled, total)
        total = total.copy()
        for day in days[len(settled) :]:
            _meet(total, day)
        return total

    def daily(
        self, arrays: RegisterArrays, days: Sequence[DayEvidence], whole_day: int
    ) -> Mapping[IndicatorKind, Sequence[Floats]]:
        """Return each set's bus-free loss of each day, by kind (sets,) for each of the days, NaN where nothing is known.

        Days of which fewer than half of the ``whole_day`` slots are in the span say too little, and are NaN.
        """
        self._see(arrays)
        found: dict[IndicatorKind, list[Floats]] = {kind: [] for kind in AGGREGATES}
        losses: dict[int, tuple[CauseSums, Mapping[IndicatorKind, Floats]]] = {}
        for day in days:
            rows, of_day = self._losses.get(day.day, (None, None))
            if rows is not day.causes or of_day is None:
                of_day = self._of_day(arrays, day)
            losses[day.day] = (day.causes, of_day)
            for kind, rows_of_kind in found.items():
                enough = 2 * day.slots >= whole_day
                rows_of_kind.append(of_day[kind] if enough else np.full_like(of_day[kind], np.nan))
        self._losses = losses
        return found

    def sets(self, arrays: RegisterArrays, kind: IndicatorKind) -> LinkSets:
        """Return the sets of a kind."""
        self._see(arrays)
        if kind not in self._sets:
            self._sets[kind] = LinkSets.of(*_groups(arrays, kind), arrays.provider)
        return self._sets[kind]

    def _see(self, arrays: RegisterArrays) -> None:
        if self._arrays is not arrays:
            self._arrays = arrays
            self._losses, self._sets = {}, {}

    def _of_day(self, arrays: RegisterArrays, day: DayEvidence) -> dict[IndicatorKind, Floats]:
        known = day.causes.known[1 + len(arrays.agencies) :]
        weight = np.where(arrays.required.in_force(day.day), arrays.weight, 0.0)
        within = ratio(weight, group_sums(arrays.service, weight, len(arrays.services))[arrays.service], otherwise=0.0)
        within[known == 0] = 0.0
        omega = arrays.service_weight[arrays.service] * within
        failed = known - np.minimum(day.counts(Stage.OK), known)
        losing = np.flatnonzero(failed)
        loss = failed[losing] / known[losing]
        found = {}
        for kind in AGGREGATES:
            group, size = _groups(arrays, kind)
            of_kind = within if kind is IndicatorKind.SERVICE else omega
            lost = np.bincount(group[losing], of_kind[losing] * loss, size)
            found[kind] = ratio(lost, np.bincount(group, of_kind, size), otherwise=np.nan)
        return found


def _begin(kept: Sequence[CauseSums], settled: Sequence[CauseSums]) -> bool:
    """Whether days that were summed are the first of these; sums of none have a size too, of an earlier register."""
    same = all(one is other for one, other in zip(kept, settled, strict=False))
    return 0 < len(kept) <= len(settled) and same


def _meet(total: Ints, day: DayEvidence) -> None:
    down = int(day.causes.down[0])
    if down:
        known = day.tally.sum(axis=0, dtype=np.int64) * day.live
        charged = known - day.causes.known[len(day.causes) - len(known) :]
        total += np.maximum(charged, np.maximum(down - day.slots + known, 0) * day.live)


def _groups(arrays: RegisterArrays, kind: IndicatorKind) -> tuple[Ints, int]:
    match kind:
        case IndicatorKind.SECTOR:
            return arrays.sector, len(arrays.sectors)
        case IndicatorKind.CONSUMER:
            return arrays.consumer, len(arrays.agencies)
        case IndicatorKind.PROVIDER:
            return arrays.provider, len(arrays.agencies)
        case IndicatorKind.SERVICE:
            return arrays.service, len(arrays.services)
        case _:
            return np.zeros(len(arrays.links), dtype=np.int64), 1
