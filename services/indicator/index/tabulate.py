"""Tabulates the index by properties of services or of their agencies, which never enter it (docs/method.md §7.5)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from services.core.model import SetIndex
from services.indicator.array_types import Codes, Ints
from services.indicator.index.levels import LEVELS
from services.indicator.index.published import set_indexes
from services.indicator.shares import LinkShares, mean_share

BANDS = 4
"""The most bands that numbers are shown in, each with about as many agencies."""


@dataclass(frozen=True, slots=True)
class ServiceGroup:
    """One group of services: its index, and how many services, inquiries and levels it has.

    ``with_links`` of the ``services`` have a link in force; ``absent`` of the ``index.links`` are absent; ``levels`` counts
    the services at levels 0 to 4.
    """

    index: SetIndex
    agencies: int
    services: int
    with_links: int
    absent: int
    levels: tuple[int, ...]

    @property
    def inquiries_per_service(self) -> float | None:
        """Links in force per service that has any; None without one."""
        return self.index.links / self.with_links if self.with_links else None

    @property
    def on_paper_per_service(self) -> float | None:
        """Absent links in force per service that has any link in force; None without one."""
        return self.absent / self.with_links if self.with_links else None


def quantile_bands(values: Sequence[float | None]) -> tuple[Ints, tuple[tuple[float, float], ...]]:
    """Return the band of each value, -1 without one, and the lowest and highest value of each band, ascending.

    Bands begin at the quartiles of the values, so that they have about as many values each; equal values share a band.
    """
    numbers = np.array([np.nan if value is None else value for value in values], dtype=np.float64)
    given = ~np.isnan(numbers)
    ranked = np.sort(numbers[given])
    starts = np.unique(ranked[np.arange(BANDS) * len(ranked) // BANDS]) if len(ranked) else ranked
    band = np.where(given, np.searchsorted(starts, numbers, side="right") - 1, -1)
    members = (numbers[band == number] for number in range(len(starts)))
    return band.astype(np.int64), tuple((float(values.min()), float(values.max())) for values in members)


def tabulate_links(shares: LinkShares, group: Ints, groups: int, level: Codes) -> list[ServiceGroup]:
    """Compute each group of services: ``group`` (s,) is the group of each service, ``level`` (s,) its level or -1.

    The index is Σωq̂/Σω over the group's links with its bounds (§5); the point is None below the publish threshold.
    """
    arrays = shares.arrays
    of_link, in_force = group[arrays.service], shares.slots > 0
    means = mean_share(shares, of_link, shares.omega, groups)
    links = np.bincount(of_link[in_force], minlength=groups)
    absent = np.bincount(of_link[in_force & arrays.absent], minlength=groups)
    needs = np.bincount(arrays.service[in_force], minlength=len(group)) > 0
    members = [group == number for number in range(groups)]
    return [
        ServiceGroup(
            index=index,
            agencies=len(np.unique(arrays.service_consumer[own])),
            services=int(own.sum()),
            with_links=int((own & needs).sum()),
            absent=int(number),
            levels=tuple(np.bincount(level[own & (level >= 0)], minlength=LEVELS).tolist()),
        )
        for own, index, number in zip(members, set_indexes(arrays, means, links), absent, strict=True)
    ]
