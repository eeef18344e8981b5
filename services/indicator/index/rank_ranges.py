"""The ranks that agencies may have, given their intervals (docs/method.md §7.9)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from services.core.model import RankBand, RankBasis
from services.indicator.array_types import Bools, Floats, Ints
from services.indicator.index.published import TOLERANCE


def rank_ranges(low: Floats, high: Floats) -> tuple[Ints, Ints]:
    """Return the best and the worst rank, 1 being the best, of each of m agencies with the intervals [low, high] (m,).

    The best is 1 + the number of agencies whose interval lies wholly above, the worst m - the number wholly below. An
    agency without an interval (NaN) lies neither above nor below another, and its own ranks are 1 to m.
    """
    known = ~np.isnan(low)
    above = known.sum() - np.searchsorted(np.sort(low[known]), high + TOLERANCE, side="right")
    below = np.searchsorted(np.sort(high[known]), low - TOLERANCE, side="left")
    return 1 + np.where(known, above, 0), len(low) - np.where(known, below, 0)


def rank_bands(ids: Sequence[str], applies: Bools, low: Floats, high: Floats) -> dict[str, RankBand]:
    """Return the band of ranks of each agency with an interval, among those with an indicator, by id."""
    members = np.flatnonzero(applies)
    best, worst = rank_ranges(low[members], high[members])
    return {
        ids[agency]: RankBand(int(first), int(last), RankBasis.INTERVALS, len(members))
        for agency, first, last in zip(members.tolist(), best, worst, strict=True)
        if not np.isnan(low[agency])
    }
