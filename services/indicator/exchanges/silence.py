"""Which links are silent: unused for longer than chance lets a link in use be (docs/exchange.md §4).

The unit is a day of use: exchanges come in bunches, days hardly do. Days do not weigh alike: on a holiday nobody asks
anything, so a day weighs as much as links were used on it, the busiest of all 1.

A link that was used before the window is judged by itself: with d days of use in what weighs H, none in what weighs R
has probability B(d+1/2, H-d+R+1/2) / B(d+1/2, H-d+1/2), which is that of a share of days unknown but for those (Jeffreys'
prior). A link without a past is
judged by the others: of those in use the estimated share that chance kept quiet so far is f0/(f0+f), f of them seen,
f0 = (R-1)/R·f1(f1+1)/(2(f2+1)) not, with f1 and f2 those seen on one day and on two (Chao's estimator for incidences,
Biometrics 43, 1987: a lower bound, close where use does not differ too widely).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.special import betaln

from services.indicator.array_types import Bools

__all__ = ["CHANCE", "SILENCE_DAYS", "Silence", "judge_silence"]

SILENCE_DAYS: Final = 7
"""Days of 24 hours that are read of a window before anything is called silent: on some days of a week nobody works."""

CHANCE: Final = 0.01
"""The greatest probability with which a link in use is that quiet, where it is called silent."""


@dataclass(frozen=True, slots=True, eq=False)
class Silence:
    """Of m links which are ``silent``; and the share of links in use that is estimated to be ``unseen``, None before
    SILENCE_DAYS.
    """

    silent: Bools
    unseen: float | None


def judge_silence(used: Bools, window: int) -> Silence:
    """Judge the days from ``window`` on of all days that were read, (m, d): on which of them each link was used.

    The first day and the last may be read in part.
    """
    within, before = used[:, window:], used[:, :window]
    if within.shape[1] < SILENCE_DAYS:
        return Silence(np.zeros(len(used), np.bool_), None)
    weight = used.sum(axis=0) / max(1, used.sum(axis=0).max())
    here, past = weight[window:].sum(), weight[:window].sum()
    days = before.sum(axis=1)
    idle = np.maximum(past - days, 0.0)
    own = np.exp(betaln(days + 0.5, idle + here + 0.5) - betaln(days + 0.5, idle + 0.5))
    unseen = _unseen(within)
    chance = np.where(days > 0, own, unseen)
    return Silence(~within.any(axis=1) & (chance <= CHANCE), unseen)


def _unseen(used: Bools) -> float:
    times = used.sum(axis=1)
    seen, once, twice = (int((times >= 1).sum()), int((times == 1).sum()), int((times == 2).sum()))
    if not seen:
        return 1.0
    days = used.shape[1]
    more = (days - 1) / days * once * (once + 1) / (2 * (twice + 1))
    return float(more / (more + seen))
