"""Chooses the agencies with series on the scorer's page, to keep it below 20,000 series (docs/design.md §8). Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from services.core.model import LOSS_STAGES, Outcome
from services.indicator.index import SPANS
from services.indicator.register_arrays import RegisterArrays

SHARED_SERIES = 14_000
"""The maximum number of series of agencies and of stages of links together.

All others (burns, reasons, pairs, sectors) are at most 6,000.
"""

LINK_SERIES = 10_000
"""With more links than this, only links that burn their error budget have series of their stage."""

BURN_SERIES = 500
"""The maximum number of links that burn over a span and have series: those that burn fastest."""

AGENCY_SERIES = 1_000
"""The maximum number of agencies that have series, as many as the api names (services/api/metrics.py)."""

_FIGURES = 3 + len(LOSS_STAGES)  # bounds, known share and losses, besides the point
_VERDICTS = len(Outcome) + 1  # absent as well


@dataclass(frozen=True, slots=True)
class AgencySeries:
    """The agencies that have series, those with the most links first. Each sequence is a prefix of the one before it.

    ``points`` have the point of their index over the default window. ``figures`` also have its other figures and their
    links by verdict. ``windows`` have all figures over every window. ``linked`` counts the agencies with links, and so
    an index.
    """

    linked: int
    points: Sequence[str]
    figures: Sequence[str]
    windows: Sequence[str]

    @classmethod
    def of(cls, arrays: RegisterArrays) -> AgencySeries:
        """Choose by the register alone, so that no series disappears when something fails."""
        linked = len(np.union1d(np.unique(arrays.consumer), np.unique(arrays.provider)))
        links = len(arrays.links)
        left = SHARED_SERIES - (links if links <= LINK_SERIES else len(SPANS) * BURN_SERIES)
        largest = arrays.largest_agencies()[: min(linked, AGENCY_SERIES)]
        chosen = [[arrays.agencies[agency] for agency in largest.tolist()]]
        windows = (len(arrays.windows_days) - 1) * 2 * (1 + _FIGURES)
        for series in (2, 2 * _FIGURES + _VERDICTS, windows):  # per agency, as consumer and as provider
            chosen.append(chosen[-1][: left // series] if series else chosen[-1])
            left -= series * len(chosen[-1])
        return cls(linked, *chosen[1:])

    @property
    def left_out(self) -> dict[str, int]:
        """The number of agencies without series of their index, of its other figures, and over other windows."""
        return {
            "agency_index": self.linked - len(self.points),
            "agency_figures": self.linked - len(self.figures),
            "agency_windows": self.linked - len(self.windows),
        }
