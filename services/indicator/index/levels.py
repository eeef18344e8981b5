"""The level of each service, by lower bounds (docs/method.md §7.3): links not known to work do not raise it."""

from __future__ import annotations

import numpy as np

from services.core.model import Stage
from services.indicator.array_types import Bools, Codes, Floats, Ints
from services.indicator.register_arrays import RegisterArrays

LEVELS = 5
"""The number of levels, 0 to 4."""

NONE = -1
"""The code of a service without a level."""


def service_levels(arrays: RegisterArrays, slots: Ints, counts: Ints, strict_lower: Floats) -> Codes:
    """Return each service's level (s,), NONE where no link is in force.

    ``slots`` (n,) and ``counts`` (6, n) of links as in LinkShares; ``strict_lower`` (s,) the lower bound of E_s.
    0 isolated · 1 some link was OK · 2 every link in force has connected · 3 and 4: E_s is at least the policy's
    ``levels``. Each level requires those below it. Like E, levels do not use the weights of links.
    """
    services = len(arrays.services)
    in_force = slots > 0

    def count(links: Bools) -> Ints:
        return np.bincount(arrays.service[links], minlength=services)

    required = count(in_force)
    some_work = count(in_force & (counts[Stage.OK] > 0)) > 0
    all_connect = count(in_force & (counts[Stage.NOT_ANSWERED :].sum(axis=0) > 0)) == required
    strict = np.nan_to_num(strict_lower, nan=-1.0)
    steps = np.stack([some_work, all_connect, strict >= arrays.levels[0], strict >= arrays.levels[1]])
    reached = np.logical_and.accumulate(steps).sum(axis=0)
    return np.where(required > 0, reached, NONE).astype(np.int8)
