"""Coverage and width of the intervals of one scenario, window and kind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tests.calibration.gate import Found
from tests.calibration.government import KINDS
from tests.calibration.scenarios import WINDOWS, Scenario

WANTED, REQUIRED = 0.95, 0.90
# Sums of doubles agree within this. Where nothing can fail, the interval is the truth.
TOLERANCE = 1e-12


@dataclass(frozen=True)
class Cell:
    """The figures of one cell.

    ``coverage`` is the share of intervals that hold the truth, over all lives and the sets examined; ``error`` is its
    standard error, over lives. ``weakest`` is the coverage that nine sets of ten exceed. ``width`` is the median width,
    ``spread`` the central 95 % range of the estimate itself. Both are means over sets, and ``ratio`` is width / spread.
    """

    scenario: Scenario
    days: int
    kind: str
    lives: int
    coverage: float
    error: float
    weakest: float
    width: float
    spread: float

    @property
    def ratio(self) -> float:
        """Width over spread, NaN where the estimate does not vary."""
        return self.width / self.spread if self.spread > TOLERANCE else float("nan")


def cells_of(scenario: Scenario, parts: Sequence[dict[tuple[int, str], Found]]) -> list[Cell]:
    """Return the cells of a scenario from the parts of its lives."""
    return [_cell(scenario, days, kind, [part[days, kind] for part in parts]) for days in WINDOWS for kind in KINDS]


def _cell(scenario: Scenario, days: int, kind: str, parts: Sequence[Found]) -> Cell:
    truth = parts[0].truth
    estimate, low, high = (
        np.concatenate([getattr(part, name) for part in parts]) for name in ("estimate", "low", "high")
    )
    published = ~np.isnan(low).any(axis=0)
    truth, estimate, low, high = truth[published], estimate[:, published], low[:, published], high[:, published]
    holds = (low <= truth + TOLERANCE) & (truth - TOLERANCE <= high)
    of_life = holds.mean(axis=1)
    error = float(of_life.std(ddof=1) / np.sqrt(len(of_life))) if len(of_life) > 1 else float("nan")
    outer = np.quantile(estimate, [0.025, 0.975], axis=0)
    return Cell(
        scenario=scenario,
        days=days,
        kind=kind,
        lives=len(estimate),
        coverage=float(holds.mean()),
        error=error,
        weakest=float(np.quantile(holds.mean(axis=0), 0.1)),
        width=float(np.median(high - low, axis=0).mean()),
        spread=float((outer[1] - outer[0]).mean()),
    )
