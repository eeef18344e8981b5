"""Silent links: those unused for longer than is likely for a link in use (docs/exchange.md §4).

The unit is a day of use: exchanges come in bunches, days hardly do. A day is weighted by the links used on it,
relative to the busiest day, because few links are used on a holiday.

A link that was used before the window is judged by itself: after d days of use in a weight of H, no use in a weight of R
has probability B(d+1/2, H-d+R+1/2) / B(d+1/2, H-d+1/2), for an unknown share of days with Jeffreys' prior. A link without
a past is judged by the others. Of the links in use, the estimated share not seen so far is f0/(f0+f). Here f links were
seen in D days, f1 of them on one day and f2 on two, and f0 = (D-1)/D·f1(f1+1)/(2(f2+1)). This is Chao's estimator for
incidences (Biometrics 43, 1987): a lower bound, close where use does not differ too widely.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from services.indicator.array_types import Bools
from services.indicator.scipy_parts import betaln

SILENCE_DAYS: Final = 7
"""The fewest days of 24 hours of a window that can show silence: some days of a week are not worked."""

CHANCE: Final = 0.01
"""The greatest probability that a link in use is called silent."""


@dataclass(frozen=True, slots=True, eq=False)
class Silence:
    """Which of m links are ``silent``, and the estimated share of links in use that are ``unseen``.

    ``unseen`` is None before SILENCE_DAYS.
    """

    silent: Bools
    unseen: float | None


def judge_silence(used: Bools, window: int) -> Silence:
    """Judge the days from ``window`` on, given all days on which each link was used, (m, d).

    The first day and the last may be incomplete.
    """
    within, before = used[:, window:], used[:, :window]
    if within.shape[1] < SILENCE_DAYS:
        return Silence(np.zeros(len(used), np.bool_), None)
    weight = used.sum(axis=0) / max(1, used.sum(axis=0).max())
    present, past = weight[window:].sum(), weight[:window].sum()
    days = before.sum(axis=1)
    idle = np.maximum(past - days, 0.0)
    own = np.exp(betaln(days + 0.5, idle + present + 0.5) - betaln(days + 0.5, idle + 0.5))
    unseen = _unseen(within)
    chance = np.where(days > 0, own, unseen)
    return Silence(~within.any(axis=1) & (chance <= CHANCE), unseen)


def _unseen(used: Bools) -> float:
    times = used.sum(axis=1)
    seen, once, twice = (int((times >= 1).sum()), int((times == 1).sum()), int((times == 2).sum()))
    if not seen:
        return 1.0
    days = used.shape[1]
    unseen = (days - 1) / days * once * (once + 1) / (2 * (twice + 1))
    return float(unseen / (unseen + seen))
