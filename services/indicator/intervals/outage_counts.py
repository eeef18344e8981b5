"""Counts the outages of the record that the interval of each set rests on (docs/method.md §6.12)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from services.indicator.array_types import Floats, Ints
from services.indicator.intervals.outages import OutageTotals
from services.indicator.intervals.sets import LinkSets
from services.indicator.sums import group_sums


@dataclass(frozen=True, slots=True, eq=False)
class OutageCounts:
    """The outages in a record of ``providers`` (agencies,), of links' ``own`` faults (n,), and of the ``bus``.

    A bus about which nothing is known has infinitely many: no interval rests on it.
    """

    providers: Floats
    own: Floats
    bus: float

    @classmethod
    def of(cls, record: OutageTotals, agencies: int) -> OutageCounts:
        """Read the counts from a record, whose causes are in the order bus, agencies, links."""
        bus = float(record.outages[0]) if record.known[0] > 0 else float("inf")
        return cls(record.outages[1 : 1 + agencies], record.outages[1 + agencies :], bus)

    def of_links(self, provider: Ints) -> Floats:
        """Count the outages of each link and its ``provider``, both (n,)."""
        return self.providers[provider] + self.own

    def of_sets(self, sets: LinkSets, weight: Floats) -> Floats:
        """Count the outages of each set, (sets,): of links with some ``weight`` (n,) and their providers, each once."""
        weighs = weight > 0
        there = np.bincount(sets.pair[weighs], minlength=len(sets.pair_group)) > 0
        of_providers = np.where(there, self.providers[sets.pair_provider], 0.0)
        of_links = np.where(weighs, self.own, 0.0)
        return group_sums(sets.pair_group, of_providers, sets.size) + group_sums(sets.group, of_links, sets.size)
