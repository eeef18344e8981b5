"""The families of counts, and the alternatives that each kind of finding is tested against (docs/method.md §12.4)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

import numpy as np

from services.core.model import FindingKind


class Family(IntEnum):
    """The counts that are judged, each beside an expected number."""

    VOLUME = 0
    BUS = 1
    PROVIDER = 2
    REPEATS = 3
    SLOW = 4
    SIZE = 5


SHARES: Final = (Family.BUS, Family.PROVIDER, Family.REPEATS)
"""The families that are shares of the exchanges."""


@dataclass(frozen=True, slots=True)
class FindingSide:
    """One side of a family: too little or too much.

    ``factors`` are alternatives as multiples of what is expected, ``points`` as shares added to the expected share.
    ``budget`` has the part of the budget of each alternative.
    """

    family: Family
    up: bool
    kind: FindingKind
    budget: tuple[float, ...]
    factors: tuple[float, ...] = ()
    points: tuple[float, ...] = ()


SIDES: Final = (
    FindingSide(
        Family.VOLUME, up=False, kind=FindingKind.FALL, budget=(0.25, 0.1, 0.15, 0.05), factors=(0.0, 0.2, 0.5, 0.8)
    ),
    FindingSide(Family.VOLUME, up=True, kind=FindingKind.RISE, budget=(0.04, 0.04), factors=(1.5, 3.0)),
    FindingSide(Family.BUS, up=True, kind=FindingKind.BUS_FAILURES, budget=(0.05, 0.05), points=(0.03, 0.15)),
    FindingSide(Family.PROVIDER, up=True, kind=FindingKind.PROVIDER_FAILURES, budget=(0.05, 0.05), points=(0.03, 0.15)),
    FindingSide(Family.REPEATS, up=True, kind=FindingKind.REPEATS, budget=(0.05,), points=(0.03,)),
    FindingSide(Family.SLOW, up=True, kind=FindingKind.SLOW, budget=(0.05,), factors=(2.0,)),
    FindingSide(Family.SIZE, up=True, kind=FindingKind.SIZE, budget=(0.04,), factors=(2.0,)),
    FindingSide(Family.SIZE, up=False, kind=FindingKind.SIZE, budget=(0.03,), factors=(0.5,)),
)
"""Silence and falls get more than half of the budget, because nobody else would report them."""

FAMILY: Final = np.array([side.family for side in SIDES])
UP: Final = np.array([side.up for side in SIDES])

SIDE_OF_TEST: Final = np.repeat(np.arange(len(SIDES)), [len(side.budget) for side in SIDES])
FACTOR: Final = np.array([factor for side in SIDES for factor in (*side.factors, *(0.0 for _ in side.points))])
POINTS: Final = np.array([points for side in SIDES for points in (*(0.0 for _ in side.factors), *side.points)])
"""For each test, an alternative of a side: its side, its factor, and the points that it adds."""

SILENCE: Final = len(SIDES)
"""The group of the tests of silence."""
GROUP_OF_TEST: Final = np.where((FACTOR == 0) & (POINTS == 0), SILENCE, SIDE_OF_TEST)
SIDE_OF_GROUP: Final = np.append(np.arange(len(SIDES)), SIDE_OF_TEST[GROUP_OF_TEST == SILENCE])
"""Groups of tests whose days are pooled to see how far their evidence strays: those of a side, and silence by itself,
because it strays seldom.
"""

LEAST_FACTOR: Final = 1.2
"""The least factor of an alternative that adds points."""

UP_TEST: Final = UP[SIDE_OF_TEST]
DEPARTS: Final = np.where(POINTS > 0, LEAST_FACTOR, 1.0 + (FACTOR - 1.0) * np.where(UP_TEST, 0.25, 0.5))
"""The ratio of seen to expected from which a test's counts depart: half of the way to fewer, or a quarter of it to more."""


def thresholds(rows: int, week_steps: int, budget: float) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Return the evidence, in nats, from which each test finds something, so that all together keep the budget."""
    parts = np.array([part for side in SIDES for part in side.budget])
    return np.asarray(np.log(np.maximum(week_steps * rows / (budget * parts), 2.0)))
