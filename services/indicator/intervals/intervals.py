"""Intervals of every kind over one window, from its evidence (docs/method.md §6)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from services.core.model import IndicatorKind, Stage
from services.indicator.array_types import Bools, Floats
from services.indicator.calendar import RECORD_DAYS
from services.indicator.intervals.history import HistorySums
from services.indicator.intervals.loss_bounds import LossBounds
from services.indicator.intervals.outages import OutageTotals
from services.indicator.intervals.recipe import combine_with_bus
from services.indicator.intervals.sets import ClassEstimates, CommonModeGuard, WindowCauses, bound_groups, bound_links
from services.indicator.register_arrays import RegisterArrays
from services.indicator.shares import LinkShares, group_sums, grouping, ratio
from services.indicator.verdicts import DayEvidence, EvidenceSource

__all__ = ["Intervals", "OutageHistory"]


class OutageHistory:
    """The days that the intervals of some windows look back on, summed once for all of them."""

    def __init__(
        self,
        record: HistorySums,
        arrays: RegisterArrays,
        evidence: EvidenceSource,
        windows: Sequence[int],
        end_slot: int,
    ) -> None:
        """Look back from ``end_slot`` as far as the longest of the ``windows``, in days, and the record reach."""
        self.record = record
        self.arrays = arrays
        self.calendar = evidence.calendar
        self._end_slot = end_slot
        span = self.span(max(RECORD_DAYS, *windows))
        self.days = list(evidence.days(arrays, span))
        self._daily = record.daily(arrays, self.days, 86400 // self.calendar.slot_seconds)
        self._guards: dict[int, dict[IndicatorKind, CommonModeGuard]] = {}
        self._spells: dict[int, OutageTotals] = {}
        self._learnt: dict[int, ClassEstimates] = {}

    def span(self, window: int) -> range:
        """Return the slots of a window of so many days."""
        return self.calendar.window(window, self._end_slot)

    def since(self, window: int) -> Sequence[DayEvidence]:
        """Return the days of a window of so many days."""
        first = self.calendar.day_of(self.span(window).start).toordinal()
        return [day for day in self.days if day.day >= first]

    def spells(self, window: int) -> OutageTotals:
        """Return the outages of a window of so many days."""
        days = self.since(window)
        if len(days) not in self._spells:
            self._spells[len(days)] = self.record.spells(window, days, self.calendar.slot_seconds)
        return self._spells[len(days)]

    def learnt(self, window: int) -> ClassEstimates:
        """Return what the outages of a window of so many days say."""
        days = len(self.since(window))
        if days not in self._learnt:
            self._learnt[days] = ClassEstimates.of(self.spells(window), len(self.arrays.agencies))
        return self._learnt[days]

    def guards(self, window: int) -> dict[IndicatorKind, CommonModeGuard]:
        """Return the guards of one day, by the days of a window."""
        if window not in self._guards:
            days = len(self.since(window))
            self._guards[window] = {kind: CommonModeGuard.of(daily[-days:]) for kind, daily in self._daily.items()}
        return self._guards[window]


@dataclass(frozen=True, slots=True, eq=False)
class Intervals:
    """One window's causes, and what of its links depends on them, in register order.

    ``connected`` (n,): the share of a link's known slots in which it was live; the rest, on paper, is exact. Of its live
    known slots ``met`` (n,) is the share that surely fell into the bus's downtime, ``charged`` (n,) the share that failed
    with the bus, and ``loss`` (n,) the share that failed of those that did not. ``seen`` (n,): whether there were such.
    ``guards`` of aggregates by kind.
    """

    past: OutageHistory
    shares: LinkShares
    causes: WindowCauses
    connected: Floats
    met: Floats
    charged: Floats
    loss: Floats
    seen: Bools
    guards: dict[IndicatorKind, CommonModeGuard]

    @classmethod
    def of(cls, past: OutageHistory, shares: LinkShares, window: int) -> Self | None:
        """Measure a window of so many days, of which ``shares`` are; None while it has no slot."""
        days, reach = past.since(window), max(window, RECORD_DAYS)
        if not days:
            return None
        slot_hours, agencies = past.calendar.slot_seconds / 3600, len(past.arrays.agencies)
        spells = past.spells(window)
        known = spells.known[1 + agencies :] / slot_hours
        # Slots on paper are known zeros, whatever was measured (§3).
        on_paper = past.arrays.required.slots_on_paper([day.day for day in days], [day.slots for day in days])
        live = shares.known - on_paper
        length = len(past.span(window)) * slot_hours / 24
        return cls(
            past=past,
            shares=shares,
            causes=WindowCauses.of(spells, past.learnt(reach)),
            connected=ratio(live, shares.known, otherwise=0.0),
            met=ratio(past.record.met(window, days, agencies), live, otherwise=0.0),
            charged=ratio(live - known, live, otherwise=0.0),
            loss=np.clip(1.0 - ratio(shares.counts[Stage.OK], known, otherwise=1.0), 0.0, 1.0),
            seen=known > 0,
            guards={kind: guard.over(length) for kind, guard in past.guards(reach).items()},
        )

    def interval(self, kind: IndicatorKind, point: Floats) -> tuple[Floats, Floats]:
        """Return the interval's ends around each ``point`` of this kind, NaN where there is none.

        A link of which nothing is known is taken to be like the others of its set, as far as they were seen.
        """
        if kind is IndicatorKind.LINK:
            connected, met, charged, seen = self.connected, self.met, self.charged, self.seen
            found = bound_links(self.causes, self.past.arrays.provider, self.loss)
        else:
            ids, group, weight = grouping(self.past.arrays, self.shares, kind)
            weight = np.where(self.shares.known > 0, weight, 0.0)
            exposed = weight * self.connected
            whole, part = group_sums(group, weight, len(ids)), group_sums(group, exposed, len(ids))
            connected = ratio(part, whole, otherwise=0.0)
            met, charged = (
                group_sums(group, exposed * self.met, len(ids)),
                group_sums(group, exposed * self.charged, len(ids)),
            )
            certain = np.where(self.seen, exposed, 0.0)
            seen = group_sums(group, certain, len(ids)) > 0
            sets = self.past.record.sets(self.past.arrays, kind)
            found = bound_groups(sets, certain, self.loss, self.causes, self.guards[kind])
        bounds = combine_with_bus(found, self._bus(ratio(np.minimum(charged, met), met, otherwise=1.0)))
        low = np.where(seen, connected * (1.0 - bounds.high), 0.0)
        high = np.where(seen, connected * (1.0 - bounds.low), connected)
        return np.minimum(low, point), np.maximum(high, point)

    def _bus(self, exposure: Floats) -> LossBounds:
        """Scale the bus's loss to what it took along of what it met."""
        bus = self.causes.bus
        return LossBounds(exposure * bus.loss, exposure * bus.low, exposure * bus.high)
