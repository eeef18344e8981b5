"""The index by what services or their agencies are like (docs/method.md §7): beside the index, never inside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.core.model import SetIndex
from services.indicator.index.index import TOLERANCE
from services.indicator.index.levels import LEVELS
from services.indicator.register_arrays import RegisterArrays
from services.indicator.shares import LinkShares, mean_share

__all__ = ["BANDS", "ServiceGroup", "quantile_bands", "tabulate_links"]

BANDS = 4
"""Numbers are shown in at most this many bands, of about as many agencies each."""


@dataclass(frozen=True, slots=True)
class ServiceGroup:
    """The services of one group: their index, how many they are, what they must inquire and how far they have come.

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


def quantile_bands(values: Sequence[float | None]) -> tuple[NDArray[np.int64], tuple[tuple[float, float], ...]]:
    """Return the band of each value, -1 without one, and the lowest and highest value of each band, ascending.

    Bands begin at the quartiles of the values, so they hold about as many each; equal values share one.
    """
    numbers = np.array([np.nan if value is None else value for value in values], dtype=np.float64)
    given = ~np.isnan(numbers)
    ranked = np.sort(numbers[given])
    starts = np.unique(ranked[np.arange(BANDS) * len(ranked) // BANDS]) if len(ranked) else ranked
    band = np.where(given, np.searchsorted(starts, numbers, side="right") - 1, -1)
    spans = ((float(numbers[band == at].min()), float(numbers[band == at].max())) for at in range(len(starts)))
    return band.astype(np.int64), tuple(spans)


def tabulate_links(
    arrays: RegisterArrays, shares: LinkShares, group: NDArray[np.int64], groups: int, level: NDArray[np.int8]
) -> list[ServiceGroup]:
    """Compute each group of services: ``group`` (s,) is the one each service is in, ``level`` (s,) its level or -1.

    The index is Σωq̂/Σω over the group's links with its bounds (§5); the point is None below the publish threshold.
    """
    of_link, in_force = group[arrays.service], shares.slots > 0
    means = mean_share(shares, of_link, shares.omega, groups)
    point = np.where(means.known_share >= arrays.publish_threshold - TOLERANCE, means.estimate, np.nan)
    links = np.bincount(of_link[in_force], minlength=groups)
    absent = np.bincount(of_link[in_force & arrays.absent], minlength=groups)
    needs = np.bincount(arrays.service[in_force], minlength=len(group)) > 0
    found = []
    for at in range(groups):
        own = group == at
        found.append(
            ServiceGroup(
                index=SetIndex(
                    links=int(links[at]),
                    point=None if np.isnan(point[at]) else float(point[at]),
                    lower=float(means.lower[at]),
                    upper=float(means.upper[at]),
                    known_share=float(means.known_share[at]),
                ),
                agencies=len(np.unique(arrays.service_consumer[own])),
                services=int(own.sum()),
                with_links=int((own & needs).sum()),
                absent=int(absent[at]),
                levels=tuple(np.bincount(level[own & (level >= 0)], minlength=LEVELS).tolist()),
            )
        )
    return found
