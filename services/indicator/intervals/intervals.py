"""The intervals of every kind over one window, from its evidence (docs/method.md §6)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from services.core.model import IndicatorKind, Stage
from services.indicator.array_types import Bools, Floats, Ints
from services.indicator.calendar import RECORD_DAYS
from services.indicator.frozen_evidence import FrozenEvidence
from services.indicator.intervals.history import HistorySums
from services.indicator.intervals.loss_bounds import LossBounds
from services.indicator.intervals.outage_counts import OutageCounts
from services.indicator.intervals.outages import OutageTotals
from services.indicator.intervals.recipe import combine_with_bus
from services.indicator.intervals.sets import (
    ClassEstimates,
    CommonModeGuard,
    WindowCauses,
    bound_groups,
    bound_links,
)
from services.indicator.intervals.unobserved import spread_of, widen_unobserved
from services.indicator.shares import LinkShares, grouping
from services.indicator.sums import group_sums, ratio
from services.indicator.verdicts import DayEvidence


class OutageHistory:
    """The days that the intervals of some windows look back on, summed once for all of them."""

    def __init__(self, sums: HistorySums, counted: FrozenEvidence) -> None:
        """Look back over the days that were counted."""
        self.sums = sums
        self.arrays = counted.arrays
        self.calendar = counted.calendar
        self._end_slot = counted.end_slot
        self._days = counted.past
        self._daily = sums.daily_losses(self.arrays, self._days, 86400 // self.calendar.slot_seconds)
        self._guards: dict[int, dict[IndicatorKind, CommonModeGuard]] = {}
        self._outages: dict[int, OutageTotals] = {}
        self._estimates: dict[int, ClassEstimates] = {}

    def span(self, window: int) -> range:
        """Return the slots of a window, given in days."""
        return self.calendar.window(window, self._end_slot)

    def days(self, window: int) -> Sequence[DayEvidence]:
        """Return the days of a window."""
        first = self.calendar.day_of(self.span(window).start).toordinal()
        return [day for day in self._days if day.day >= first]

    def outages(self, window: int) -> OutageTotals:
        """Return the outages of a window."""
        days = self.days(window)
        if len(days) not in self._outages:
            self._outages[len(days)] = self.sums.outages(window, days, self.calendar.slot_seconds)
        return self._outages[len(days)]

    def estimates(self, window: int) -> ClassEstimates:
        """Return the estimates from the outages of a window."""
        days = len(self.days(window))
        if days not in self._estimates:
            self._estimates[days] = ClassEstimates.of(self.outages(window), len(self.arrays.agencies))
        return self._estimates[days]

    def guards(self, window: int) -> dict[IndicatorKind, CommonModeGuard]:
        """Return the guards of one day, from the days of a window."""
        if window not in self._guards:
            days = len(self.days(window))
            self._guards[window] = {kind: CommonModeGuard.of(daily[-days:]) for kind, daily in self._daily.items()}
        return self._guards[window]


@dataclass(frozen=True, slots=True, eq=False)
class Intervals:
    """One window's causes, and the parts of its links' slots that depend on them (§6.6), in register order.

    Of each link (n,): ``connected`` is c, ``bus_downtime`` x̄, ``charged`` x and ``loss`` y. A link with a free slot is
    ``observed``. ``spread`` is τ of the observed links, ``outages`` are those of the record, and ``guards`` those of
    aggregates, by kind.
    """

    history: OutageHistory
    shares: LinkShares
    causes: WindowCauses
    connected: Floats
    bus_downtime: Floats
    charged: Floats
    loss: Floats
    observed: Bools
    spread: float
    outages: OutageCounts
    guards: dict[IndicatorKind, CommonModeGuard]

    @classmethod
    def of(cls, history: OutageHistory, shares: LinkShares, window: int) -> Self | None:
        """Measure a window, given in days and with these ``shares``; None while it has no slot."""
        days, record = history.days(window), max(window, RECORD_DAYS)
        if not days:
            return None
        slot_hours, agencies = history.calendar.slot_seconds / 3600, len(history.arrays.agencies)
        outages = history.outages(window)
        # The hours were multiplied from whole slots, and dividing them again may miss by the last bit.
        free = np.rint(outages.known[1 + agencies :] / slot_hours)
        live = shares.known - shares.paper
        length = len(history.span(window)) * slot_hours / 24
        loss = np.clip(1.0 - ratio(shares.counts[Stage.OK], free, otherwise=1.0), 0.0, 1.0)
        observed = free > 0
        return cls(
            history=history,
            shares=shares,
            causes=WindowCauses.of(outages, history.estimates(record)),
            connected=shares.connected,
            bus_downtime=ratio(history.sums.bus_downtime(window, days, agencies), live, otherwise=0.0),
            charged=ratio(live - free, live, otherwise=0.0),
            loss=loss,
            observed=observed,
            outages=OutageCounts.of(history.outages(record), agencies),
            spread=spread_of(loss[observed], (shares.omega * shares.connected)[observed]),
            guards={kind: guard.over(length) for kind, guard in history.guards(record).items()},
        )

    def interval(self, kind: IndicatorKind, point: Floats) -> tuple[Floats, Floats, Ints]:
        """Return the ends of the interval around each ``point`` of this kind, and the outages it rests on (§6.12).

        Both ends are NaN where there is no point. A live link that was not observed counts as the mean of the observed
        links of its set, with a margin for how far links are apart (§6.11).
        """
        if kind is IndicatorKind.LINK:
            connected, downtime, charged, observed = self.connected, self.bus_downtime, self.charged, self.observed
            bounds = bound_links(self.causes, self.history.arrays.provider, self.loss)
            outages = np.where(observed, self.outages.of_links(self.history.arrays.provider), 0.0)
        else:
            ids, group, weight = grouping(self.shares, kind)
            exposed = weight * self.connected
            certain = np.where(self.observed, exposed, 0.0)
            parts = (weight, exposed, exposed * self.bus_downtime, exposed * self.charged, certain)
            total, live, downtime, charged, free = (group_sums(group, part, len(ids)) for part in parts)
            connected, observed = ratio(live, total, otherwise=0.0), free > 0
            sets = self.history.sums.sets(self.history.arrays, kind)
            bounds = bound_groups(sets, certain, self.loss, self.causes, self.guards[kind])
            outages = self.outages.of_sets(sets, certain)
            if (certain < exposed).any():
                bounds = widen_unobserved(sets, bounds, certain, exposed - certain, self.spread)
        bus, exposure = self.causes.bus, ratio(np.minimum(charged, downtime), downtime, otherwise=1.0)
        scaled = LossBounds(exposure * bus.loss, exposure * bus.low, exposure * bus.high)
        bounds = combine_with_bus(bounds, scaled)
        low = np.where(observed, connected * (1.0 - bounds.high), 0.0)
        high = np.where(observed, connected * (1.0 - bounds.low), connected)
        seen = np.where(exposure > 0, np.minimum(outages, self.outages.bus), outages)
        return np.minimum(low, point), np.maximum(high, point), seen.astype(np.int64)
