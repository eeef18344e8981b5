"""Decides which points are published: those with enough known evidence (docs/method.md §5)."""

from __future__ import annotations

from typing import Final

import numpy as np

from services.core.model import SetIndex
from services.indicator.array_types import Floats, Ints
from services.indicator.register_arrays import RegisterArrays
from services.indicator.shares import GroupMeans

TOLERANCE: Final = 1e-12
"""κ is a sum of shares; sums agree within 10⁻¹² (§5), so a κ that equals the threshold may miss it by as much."""


def published_points(arrays: RegisterArrays, estimate: Floats, known_share: Floats) -> Floats:
    """Return the estimates whose known share reaches the policy's threshold, NaN for the others."""
    return np.where(known_share >= arrays.publish_threshold - TOLERANCE, estimate, np.nan)


def set_indexes(arrays: RegisterArrays, means: GroupMeans, links: Ints) -> list[SetIndex]:
    """Return the index of each set of links, given their ``means`` and how many ``links`` each has."""
    points = published_points(arrays, means.estimate, means.known_share)
    return [
        SetIndex(
            links=int(links[row]),
            point=None if np.isnan(point) else float(point),
            lower=float(means.lower[row]),
            upper=float(means.upper[row]),
            known_share=float(means.known_share[row]),
        )
        for row, point in enumerate(points)
    ]
