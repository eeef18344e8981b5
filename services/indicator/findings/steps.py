"""A step and a day as they are judged, by family or side and by row (docs/method.md §12.1)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from services.indicator.array_types import Bools, Floats
from services.indicator.findings.kinds import SIDES


@dataclass(slots=True, eq=False)
class Today:
    """Sums of the day so far, (sides, r): counts, what was expected of them where known, and which were judged.

    ``exchanges`` are (r,).
    """

    count: Floats
    mean: Floats
    exchanges: Floats
    judged: Bools

    @classmethod
    def empty(cls, rows: int) -> Today:
        """Return a day that has not begun."""
        shape = len(SIDES), rows
        return cls(np.zeros(shape), np.zeros(shape), np.zeros(rows), np.zeros(shape, np.bool_))


@dataclass(frozen=True, slots=True, eq=False)
class JudgedStep:
    """A judged step, by family.

    ``of_flows`` and ``means_of_flows`` (6, f) are the counts and means of known flows. ``count`` and ``mean`` (6, r)
    are those of rows, without flows under an open finding. ``doubt`` is the part by which means may be off, and
    ``judged`` marks those that are judged. ``shape_doubt`` (r,) is the relative variance of the hour's volume;
    ``exchanges`` are (r,).
    """

    of_flows: Floats
    means_of_flows: Floats
    count: Floats
    mean: Floats
    doubt: Floats
    judged: Bools
    shape_doubt: Floats
    exchanges: Floats
