"""Bounds the long-run loss behind an index: lengths of outages, losses, the bus (docs/method.md §6.4-6.5, §6.8-6.10).

Every outage is one draw, and one more outage of typical length is assumed at the cause that weighs most. Losses are those
of links that are connected and live; ``combine_with_bus`` adds the bus's loss.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from services.indicator.array_types import Floats, Ints
from services.indicator.intervals.loss_bounds import LossBounds, bound_loss
from services.indicator.intervals.outages import OutageTotals

LARGEST_SHAPE = 10.0
"""The largest shape of a class; a larger estimate would rest on a single outage."""


@dataclass(frozen=True, slots=True)
class PooledLengths:
    """Outage lengths in hours over all causes of a class, each cause weighted by its downtime.

    ``mean`` is m₀, the mean length; ``square`` is M₀, the mean squared length. ``shape`` is θ, the ratio of the mean
    squared length to the squared mean length within a cause; it is 0 with fewer than two causes to estimate it from.
    """

    mean: float
    square: float
    shape: float


@dataclass(frozen=True, slots=True, eq=False)
class OutageLengths:
    """Estimated lengths of c causes in hours: m the ``mean`` of an outage, M its mean ``square``, m↑ the ``mean_up``."""

    mean: Floats
    square: Floats
    mean_up: Floats


@dataclass(frozen=True, slots=True, eq=False)
class LossMoments:
    """Moments of the losses of c causes or sets. All arrays are (c,), with 0 where nothing is known about a cause.

    ``loss`` is λ and ``variance`` its variance. One more outage adds ``more`` (a) to the loss; the mean square of that is
    ``more_square`` (b). One more up-spell adds ``less`` (a↑) to 1 - loss, with mean square ``less_square`` (b↑).
    """

    loss: Floats
    variance: Floats
    more: Floats
    more_square: Floats
    less: Floats
    less_square: Floats


def pool_causes(record: OutageTotals) -> PooledLengths:
    """Pool the causes of a class over the record (§6.4).

    m₀ and M₀ include a prior outage of two hours. The shape is the ratio of ΣQ to Σ(S² - Q)/(N - 1) over causes with at
    least two outages, since the squared mean of few lengths would be biased. Two prior outages pull it towards 2, the
    shape of exponential lengths.
    """
    outages, down = np.maximum(record.outages, 1.0), record.down
    total = float(down.sum()) + 2.0
    mean = (float((down**2 / outages).sum()) + 4.0) / total
    square = max((float((down * record.squares / outages).sum()) + 16.0) / total, 2.0 * mean**2)
    repeated = record.outages >= 2.0
    if repeated.sum() < 2:
        return PooledLengths(mean, square, 0.0)
    products = np.maximum(down**2 - record.squares, 0.0)[repeated] / (record.outages[repeated] - 1.0)
    shape = (float(record.squares[repeated].sum()) + 16.0) / (float(products.sum()) + 8.0)
    return PooledLengths(mean, square, min(shape, LARGEST_SHAPE))


def estimate_lengths(record: OutageTotals, pooled: PooledLengths) -> OutageLengths:
    """Estimate from each cause's record and its class how long its outages and up-times are (§6.4).

    M is at least the class's shape times m²: the square of a length has so heavy a tail that most causes have had no
    outage near its mean.
    """
    outages = record.outages + 2.0
    mean = (record.down + 2.0 * pooled.mean) / outages
    square = (record.squares + 2.0 * pooled.square) / outages
    mean_up = (record.known - record.down + 2.0 * pooled.mean) / outages
    return OutageLengths(mean, np.maximum(square, pooled.shape * mean**2), mean_up)


def cause_moments(window: OutageTotals, lengths: OutageLengths) -> LossMoments:
    """Compute the moments of each cause's loss in the window, given the lengths of its outages (§6.5)."""
    known = window.known
    per_hour = np.divide(1.0, known, out=np.zeros_like(known), where=known > 0)
    loss = window.down * per_hour
    up = 1.0 - loss
    scale = (up * per_hour) ** 2
    less = lengths.mean_up * loss * per_hour
    return LossMoments(
        loss=loss,
        variance=np.maximum(window.outages * lengths.square, window.squares) * scale,
        more=lengths.mean * up * per_hour,
        more_square=lengths.square * scale,
        less=less,
        less_square=2.0 * less**2,
    )


def bound_sets(moments: LossMoments) -> LossBounds:
    """Bound the losses of sets of links, given their moments (§6.8).

    For a loss above one half, 1 - loss is bounded with one more up-spell, and the bounds are mirrored.
    """
    mirrored = mirrored_losses(moments.loss)
    if not len(mirrored):
        return bound_loss(moments.loss, moments.variance, moments.more, moments.more_square)
    loss, more, more_square = moments.loss.copy(), moments.more.copy(), moments.more_square.copy()
    loss[mirrored] = 1.0 - loss[mirrored]
    more[mirrored], more_square[mirrored] = moments.less[mirrored], moments.less_square[mirrored]
    bounds = bound_loss(loss, moments.variance, more, more_square)
    low, high = bounds.low[mirrored], bounds.high[mirrored]
    bounds.low[mirrored], bounds.high[mirrored] = 1.0 - high, 1.0 - low
    return LossBounds(moments.loss, bounds.low, bounds.high)


def mirrored_losses(loss: Floats) -> Ints:
    """Return the positions of losses above one half. Only these need the moments of one more up-spell."""
    return np.flatnonzero(loss > 0.5)


def bound_bus(window: OutageTotals, record: OutageTotals) -> LossBounds:
    """Bound the bus's loss: the lower bound from the window, the upper from the record (§6.9). Arrays are (1,)."""
    mean = (record.down + 3.0) / (record.outages + 1.0)
    square = np.maximum(3.0 * mean**2, record.squares / np.maximum(record.outages, 1.0))
    mean_up = (record.known - record.down + 3.0) / (record.outages + 1.0)
    own, long_run = (_bound_bus_over(span, mean, square, mean_up) for span in (window, record))
    high = np.maximum(long_run.high, own.loss)
    # A window that is worse than the record is not bounded by it.
    return LossBounds(own.loss, own.low, np.where(own.low > long_run.loss, np.maximum(high, own.high), high))


def _bound_bus_over(span: OutageTotals, mean: Floats, square: Floats, mean_up: Floats) -> LossBounds:
    per_hour = np.divide(1.0, span.known, out=np.zeros_like(span.known), where=span.known > 0)
    loss = span.down * per_hour
    scale = (1.0 - loss) * per_hour
    half = 0.5 * mean * scale
    variance = np.maximum(span.outages * square, span.squares) * scale**2
    less = 0.5 * mean_up * loss * per_hour
    return bound_sets(LossMoments(loss, variance, half, 0.5 * square * scale**2, less, 2.0 * less**2))


def combine_with_bus(providers: LossBounds, bus: LossBounds) -> LossBounds:
    """Add the bus: z = 1 - (1 - y)(1 - y_B); margins add in quadrature, each side by itself (§6.10)."""
    up, bus_up = 1.0 - providers.loss, 1.0 - bus.loss
    loss = 1.0 - up * bus_up
    below = np.hypot(bus_up * (providers.loss - providers.low), up * (bus.loss - bus.low))
    above = np.hypot(bus_up * (providers.high - providers.loss), up * (bus.high - bus.loss))
    return LossBounds(loss, np.maximum(0.0, loss - below), np.minimum(1.0, loss + above))
