"""The days of a made-up country: the kind of each, and the kind that the calendar lists."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tests.calibration.traffic.scenarios import Scenario

OFFICIAL: Final = 1
NOWRUZ: Final = 2
LATE_NOWRUZ: Final = 3
RAMADAN: Final = 4

_NOWRUZ_DAY: Final = 24 * 7 + 3
_RAMADAN_DAY: Final = 38 * 7 + 2
_YEAR: Final = 365
_HOLIDAYS_A_YEAR: Final = 25


@dataclass(frozen=True)
class Days:
    """The ``kind`` of each day, (days,), 0 for an ordinary one, and the one that the calendar ``listed``."""

    kind: NDArray[np.int64]
    listed: NDArray[np.int64]

    @classmethod
    def of(cls, scenario: Scenario, weeks: int, rng: np.random.Generator) -> Days:
        """Draw the days of so many weeks."""
        kind = np.zeros(7 * weeks, np.int64)
        if scenario.ramadan:
            for first in range(_RAMADAN_DAY, len(kind), _YEAR - 11):
                kind[first : first + 29] = RAMADAN
                kind[first + 29 : first + 31] = OFFICIAL
        if scenario.nowruz:
            for first in range(_NOWRUZ_DAY, len(kind), _YEAR):
                kind[first : first + 5] = NOWRUZ
                kind[first + 5 : first + 13] = LATE_NOWRUZ
        listed = kind.copy()
        if scenario.holidays:
            number = round(_HOLIDAYS_A_YEAR * len(kind) / _YEAR)
            days = rng.choice(len(kind) - 1, number, replace=False)
            late = rng.random(number) < scenario.late_moon
            for day, is_late in zip(days.tolist(), late.tolist(), strict=True):
                if kind[day] in (0, RAMADAN):
                    listed[day] = OFFICIAL
                    kind[day + is_late] = OFFICIAL
        return cls(kind, listed)
