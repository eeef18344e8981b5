"""Widens intervals for live links that nobody observed, as far as links differ (docs/method.md §6.11)."""

from __future__ import annotations

import numpy as np

from services.indicator.array_types import Floats
from services.indicator.intervals.loss_bounds import LEVEL, LossBounds
from services.indicator.intervals.sets import LinkSets
from services.indicator.scipy_parts import ndtri
from services.indicator.sums import group_sums, ratio


def spread_of(loss: Floats, weight: Floats) -> float:
    """Return τ, the standard deviation between the losses (k,) of observed links with these weights.

    It is infinite for fewer than two links.
    """
    total, square = float(weight.sum()), float((weight**2).sum())
    if total**2 <= square * (1.0 + 1e-9):  # one link, or none: links may lie any distance apart
        return float("inf")
    mean = float((weight * loss).sum()) / total
    return float(np.sqrt(float((weight * (loss - mean) ** 2).sum()) / (total - square / total)))


def widen_unobserved(
    sets: LinkSets, bounds: LossBounds, observed: Floats, unobserved: Floats, spread: float
) -> LossBounds:
    """Widen the bounds of sets, because their unobserved links may lose more or less than the observed ones.

    ``observed`` and ``unobserved`` (n,) are each link's ωc, one of them 0. Unobserved links of a provider are one draw.
    Their losses lie between 0 and 1, so the margins end there.
    """
    known, unknown = (group_sums(sets.group, weight, sets.size) for weight in (observed, unobserved))
    part = ratio(unknown, known + unknown, otherwise=0.0)
    of_pair = group_sums(sets.pair, unobserved, len(sets.pair_group))
    draws = ratio(group_sums(sets.pair_group, of_pair**2, sets.size), (known + unknown) ** 2, otherwise=0.0)
    draws += part**2 * ratio(group_sums(sets.group, observed**2, sets.size), known**2, otherwise=0.0)
    deviations = ndtri((1 + LEVEL) / 2)  # the margin of a normal variable at the level of the intervals
    margin = np.where(part > 0, deviations * spread, 0.0) * np.sqrt(draws)
    below = np.hypot(bounds.loss - bounds.low, np.minimum(margin, part * bounds.loss))
    above = np.hypot(bounds.high - bounds.loss, np.minimum(margin, part * (1.0 - bounds.loss)))
    return LossBounds(bounds.loss, np.maximum(0.0, bounds.loss - below), np.minimum(1.0, bounds.loss + above))
