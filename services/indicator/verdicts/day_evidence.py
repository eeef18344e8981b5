"""What one day of a span holds under one register."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.indicator.verdicts.causes import CauseSums

__all__ = ["DayEvidence"]


@dataclass(frozen=True, slots=True)
class DayEvidence:
    """One day of a span of slots, judged by a register of n links.

    ``day`` its ordinal, ``slots`` how many of its slots are in the span, ``causes`` as of ``cause_states``; of a link that
    is not in force or not live that day nothing is known. ``tally`` (6, n) is what was counted per stage, whether ``live``
    (n,) or not. All are shared: they are not to be changed.
    """

    day: int
    slots: int
    tally: NDArray[np.unsignedinteger[Any]]
    live: NDArray[np.bool_]
    causes: CauseSums

    def counts(self, stage: int) -> NDArray[np.unsignedinteger[Any]]:
        """Return the known slots (n,) of live links at a stage; worked out at every call, for closed days hold many."""
        reached: NDArray[np.unsignedinteger[Any]] = self.tally[stage] * self.live
        return reached
