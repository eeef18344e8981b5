"""The level of each service, on lower bounds (docs/method.md §7): what was not seen to work does not raise it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from services.core.model import Stage
from services.indicator.register_arrays import RegisterArrays

__all__ = ["LEVELS", "NONE", "service_levels"]

LEVELS = 5
"""How many levels there are, 0 to 4."""

NONE = -1
"""In place of a level, where there is none."""


def service_levels(
    arrays: RegisterArrays, slots: NDArray[np.int64], counts: NDArray[np.int64], strict_lower: NDArray[np.float64]
) -> NDArray[np.int8]:
    """Return each service's level (s,), NONE where no link is in force.

    ``slots`` (n,) and ``counts`` (6, n) of links as in LinkShares; ``strict_lower`` (s,) the lower bound of E_s.
    0 isolated · 1 some link was seen OK · 2 every link in force was seen to connect · 3 and 4: E_s is at least the
    policy's ``levels``. Each level asks for those below it. Like E, levels know no weights of links.
    """
    services = len(arrays.services)
    in_force = slots > 0

    def number(links: NDArray[np.bool_]) -> NDArray[np.int64]:
        return np.bincount(arrays.service[links], minlength=services)

    required = number(in_force)
    some_works = number(in_force & (counts[Stage.OK] > 0)) > 0
    all_connect = number(in_force & (counts[Stage.NOT_ANSWERED :].sum(axis=0) > 0)) == required
    strict = np.nan_to_num(strict_lower, nan=-1.0)
    steps = np.stack([some_works, all_connect, strict >= arrays.levels[0], strict >= arrays.levels[1]])
    reached = np.logical_and.accumulate(steps).sum(axis=0)
    return np.where(required > 0, reached, NONE).astype(np.int8)
