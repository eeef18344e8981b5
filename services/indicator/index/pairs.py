"""The index of pairs of agencies, or of sectors: how one is served by the other (docs/method.md §7.5)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from services.core.model import Losses, SetIndex
from services.indicator.array_types import Bools, Floats, Ints
from services.indicator.index.published import set_indexes
from services.indicator.register_arrays import RegisterArrays
from services.indicator.shares import GroupMeans, LinkShares, mean_share
from services.indicator.sums import group_sums, ratio


@dataclass(frozen=True, slots=True)
class Pair:
    """One pair: the index of its links in force, how many of them are known and absent, and the losses of the estimate."""

    index: SetIndex
    links_known: int
    links_absent: int
    losses: Losses


@dataclass(frozen=True, slots=True, eq=False)
class PairColumns:
    """The m pairs with a link in force that weighs anything, ordered by consumer and provider.

    ``consumer`` and ``provider`` (m,) are those given by link; ``losses`` (5, m) by stage sum to 1 - estimate, and are 0
    without an estimate.
    """

    arrays: RegisterArrays
    consumer: Ints
    provider: Ints
    means: GroupMeans
    losses: Floats
    links: Ints
    links_known: Ints
    links_absent: Ints

    @classmethod
    def of(cls, shares: LinkShares, consumer: Ints, provider: Ints) -> Self:
        """Compute every pair of a ``consumer`` and a ``provider``, both given for each link (n,): agencies or sectors.

        The index is Σωq̂/Σω over the pair's links with its bounds (§5).
        """
        arrays, in_force = shares.arrays, shares.slots > 0
        width = int(provider.max(initial=0)) + 1
        codes, group = np.unique(consumer * width + provider, return_inverse=True)
        pairs = len(codes)
        means = mean_share(shares, group, shares.omega, pairs)
        lost = group_sums(group, shares.omega * shares.profile, pairs)
        applies = means.total > 0

        def count(links: Bools) -> Ints:
            return np.bincount(group[links], minlength=pairs)[applies]

        return cls(
            arrays=arrays,
            consumer=codes[applies] // width,
            provider=codes[applies] % width,
            means=means.chosen(applies),
            losses=np.where(np.isnan(means.estimate), 0.0, ratio(lost, means.total[np.newaxis], otherwise=0.0))[
                :, applies
            ],
            links=count(in_force),
            links_known=count(in_force & (shares.known > 0)),
            links_absent=count(in_force & arrays.absent),
        )

    def rows(self, rows: Ints) -> list[Pair]:
        """Return the pairs at some positions; the point is None below the publish threshold."""
        indexes = set_indexes(self.arrays, self.means.chosen(rows), self.links[rows])
        return [
            Pair(index, int(self.links_known[row]), int(self.links_absent[row]), Losses(*self.losses[:, row].tolist()))
            for index, row in zip(indexes, rows.tolist(), strict=True)
        ]
