"""Sums that intervals look back on: outages of causes and daily losses of sets (docs/method.md §6.3, §6.6-6.7)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from typing import Final, TypeVar

import numpy as np

from services.core.model import IndicatorKind, Stage
from services.indicator.array_types import Floats, Ints
from services.indicator.intervals.outages import OutageAccumulator, OutageTotals
from services.indicator.intervals.sets import LinkSets
from services.indicator.register_arrays import RegisterArrays
from services.indicator.sums import group_sums, ratio
from services.indicator.verdicts import CauseSums, DayEvidence

AGGREGATES: Final[tuple[IndicatorKind, ...]] = tuple(
    kind for kind in IndicatorKind if kind not in (IndicatorKind.LINK, IndicatorKind.ENDPOINT)
)
"""The kinds that are sets of links."""

OPEN_DAYS: Final = 3
"""The last days of a span, which may still be open: their sums may differ at the next call."""

S = TypeVar("S")

_Cache = dict[int, tuple[Sequence[CauseSums], S]]


class HistorySums:
    """A cache of sums over days that have not changed since the last call.

    Results depend on the arguments alone. A day is unchanged when its causes are the same object, which the evidence
    returns as long as they are equal.
    """

    def __init__(self) -> None:
        self._arrays: RegisterArrays | None = None
        self._outages: _Cache[OutageAccumulator] = {}
        self._bus_downtime: _Cache[Ints] = {}
        self._losses: dict[int, tuple[CauseSums, Mapping[IndicatorKind, Floats]]] = {}
        self._sets: dict[IndicatorKind, LinkSets] = {}

    def outages(self, window: int, days: Sequence[DayEvidence], slot_seconds: int) -> OutageTotals:
        """Sum the causes over days; ``window``, their number in days, keeps the sums of alternating spans apart."""
        causes = len(days[0].causes)
        return _sum(self._outages, window, days, lambda: OutageAccumulator(causes, slot_seconds), _add_outages).totals()

    def bus_downtime(self, window: int, days: Sequence[DayEvidence], agencies: int) -> Ints:
        """Count each link's live known slots (n,) in which the bus was down for certain; ``window`` as in ``outages``.

        Per day these are the slots that failed with the bus, or, if more, the slots in which the bus was down less those in
        which the link was unknown.
        """
        links = len(days[0].causes) - 1 - agencies
        return _sum(self._bus_downtime, window, days, lambda: np.zeros(links, dtype=np.int64), _add_bus_downtime)

    def daily_losses(
        self, arrays: RegisterArrays, days: Sequence[DayEvidence], whole_day: int
    ) -> Mapping[IndicatorKind, Sequence[Floats]]:
        """Return each set's loss without the bus on each day, by kind: (sets,) per day, NaN where nothing is known.

        Days with fewer than half of the ``whole_day`` slots in the span are NaN.
        """
        self._use(arrays)
        daily: dict[IndicatorKind, list[Floats]] = {kind: [] for kind in AGGREGATES}
        losses: dict[int, tuple[CauseSums, Mapping[IndicatorKind, Floats]]] = {}
        for day in days:
            causes, by_kind = self._losses.get(day.day, (None, None))
            if causes is not day.causes or by_kind is None:
                by_kind = _day_losses(arrays, day)
            losses[day.day] = (day.causes, by_kind)
            enough = 2 * day.slots >= whole_day
            for kind, of_kind in daily.items():
                of_kind.append(by_kind[kind] if enough else np.full_like(by_kind[kind], np.nan))
        self._losses = losses
        return daily

    def sets(self, arrays: RegisterArrays, kind: IndicatorKind) -> LinkSets:
        """Return the sets of a kind."""
        self._use(arrays)
        if kind not in self._sets:
            ids, group = arrays.sets_of(kind)
            self._sets[kind] = LinkSets.of(group, len(ids), arrays.provider)
        return self._sets[kind]

    def _use(self, arrays: RegisterArrays) -> None:
        if self._arrays is not arrays:
            self._arrays = arrays
            self._losses, self._sets = {}, {}


def _sum(
    cache: _Cache[S],
    window: int,
    days: Sequence[DayEvidence],
    zero: Callable[[], S],
    add: Callable[[S, DayEvidence], None],
) -> S:
    """Add up days, the settled ones only once."""
    settled = [day.causes for day in days[:-OPEN_DAYS]]
    summed, total = cache.get(window, ((), None))
    # A sum of no days may have the size of an older register.
    same = all(left is right for left, right in zip(summed, settled, strict=False))
    if total is None or not (0 < len(summed) <= len(settled) and same):
        summed, total = (), zero()
    for day in days[len(summed) : len(settled)]:
        add(total, day)
    cache[window] = settled, total
    total = deepcopy(total)
    for day in days[len(settled) :]:
        add(total, day)
    return total


def _add_outages(total: OutageAccumulator, day: DayEvidence) -> None:
    total.add(day.causes)


def _add_bus_downtime(total: Ints, day: DayEvidence) -> None:
    down = int(day.causes.down[0])
    if down:
        known = day.tally.sum(axis=0, dtype=np.int64) * day.live
        charged = known - day.causes.known[len(day.causes) - len(known) :]
        total += np.maximum(charged, np.maximum(down - day.slots + known, 0) * day.live)


def _day_losses(arrays: RegisterArrays, day: DayEvidence) -> dict[IndicatorKind, Floats]:
    known = day.causes.known[1 + len(arrays.agencies) :]
    weight = np.where(arrays.required.in_force(day.day), arrays.weight, 0.0)
    within = ratio(weight, group_sums(arrays.service, weight, len(arrays.services))[arrays.service], otherwise=0.0)
    within[known == 0] = 0.0
    omega = arrays.service_weight[arrays.service] * within
    failed = known - np.minimum(day.counts(Stage.OK), known)
    losing = np.flatnonzero(failed)
    loss = failed[losing] / known[losing]
    losses: dict[IndicatorKind, Floats] = {}
    for kind in AGGREGATES:
        ids, group = arrays.sets_of(kind)
        weights = within if kind is IndicatorKind.SERVICE else omega
        lost = np.bincount(group[losing], weights[losing] * loss, len(ids))
        losses[kind] = ratio(lost, np.bincount(group, weights, len(ids)), otherwise=np.nan)
    return losses
