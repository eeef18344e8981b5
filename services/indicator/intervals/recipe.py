"""The interval of an index: what it is like in the long run, beyond what happened to be seen (docs/method.md §6).

Every outage is one draw. The recipe pretends that one more outage of typical length happened at the cause that weighs
most. Losses here are of links that are connected and live; ``combine_with_bus`` brings the bus's in.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from services.indicator.array_types import Floats, Ints
from services.indicator.intervals.loss_bounds import LossBounds, bound_loss
from services.indicator.intervals.outages import OutageTotals

__all__ = [
    "LossMoments",
    "OutageLengths",
    "PooledLengths",
    "bound_bus",
    "bound_sets",
    "cause_moments",
    "combine_with_bus",
    "estimate_lengths",
    "mirrored_losses",
    "pool_causes",
]

LARGEST_SHAPE = 10.0
"""Of lengths so far apart nobody knows the mean square; what is beyond this is one outage's alone."""


@dataclass(frozen=True, slots=True)
class PooledLengths:
    """A class of causes together: m₀ the ``mean`` of an outage's length in hours, M₀ of its ``square``, by downtime.

    ``shape`` is the mean square of a length over its squared mean, within causes; 0 where there are not two to tell it.
    """

    mean: float
    square: float
    shape: float


@dataclass(frozen=True, slots=True, eq=False)
class OutageLengths:
    """How long spells of c causes are, in hours: m the ``mean`` of an outage, M the mean ``square``, and ``mean_up``."""

    mean: Floats
    square: Floats
    mean_up: Floats


@dataclass(frozen=True, slots=True, eq=False)
class LossMoments:
    """What is known of c causes: the ``loss`` S/K, v its ``variance``, and what one more spell would add.

    ``more`` is a and ``more_square`` b, of one more outage; ``less`` and ``less_square`` the same for one more up-spell,
    on the scale of 1 - loss. All (c,), 0 where nothing is known of a cause.
    """

    loss: Floats
    variance: Floats
    more: Floats
    more_square: Floats
    less: Floats
    less_square: Floats


def pool_causes(record: OutageTotals) -> PooledLengths:
    """Pool the causes of a class over the record.

    m₀ and M₀ are those of §6, with an outage of two hours put in. The shape is estimated without the bias that a mean
    of few lengths has when it is squared: from the sums of Q and of (S² - Q)/(N - 1) over causes with two outages or
    more, and two such outages, of which exponential lengths would make it 2.
    """
    outages, down = np.maximum(record.outages, 1.0), record.down
    total = float(down.sum()) + 2.0
    mean = (float((down**2 / outages).sum()) + 4.0) / total
    square = max((float((down * record.squares / outages).sum()) + 16.0) / total, 2.0 * mean**2)
    told = record.outages >= 2.0
    if told.sum() < 2:
        return PooledLengths(mean, square, 0.0)
    apart = np.maximum(down**2 - record.squares, 0.0)[told] / (record.outages[told] - 1.0)
    shape = (float(record.squares[told].sum()) + 16.0) / (float(apart.sum()) + 8.0)
    return PooledLengths(mean, square, min(shape, LARGEST_SHAPE))


def estimate_lengths(record: OutageTotals, of: PooledLengths) -> OutageLengths:
    """Learn from each cause's record and its class how long its spells are (§6).

    Beyond §6, M is at least the class's shape times m²: the square of a length has so heavy a tail that most causes, by
    themselves, have not seen its mean.
    """
    outages = record.outages + 2.0
    mean = (record.down + 2.0 * of.mean) / outages
    square = (record.squares + 2.0 * of.square) / outages
    mean_up = (record.known - record.down + 2.0 * of.mean) / outages
    return OutageLengths(mean, np.maximum(square, of.shape * mean**2), mean_up)


def cause_moments(window: OutageTotals, of: OutageLengths) -> LossMoments:
    """Spread of each cause over the window, of which the spells are so long (§6)."""
    known = window.known
    per_hour = np.divide(1.0, known, out=np.zeros_like(known), where=known > 0)
    loss = window.down * per_hour
    up = 1.0 - loss
    scale = (up * per_hour) ** 2
    less = of.mean_up * loss * per_hour
    return LossMoments(
        loss=loss,
        variance=np.maximum(window.outages * of.square, window.squares) * scale,
        more=of.mean * up * per_hour,
        more_square=of.square * scale,
        less=less,
        less_square=2.0 * less**2,
    )


def bound_sets(of: LossMoments) -> LossBounds:
    """Bound the losses of sets of links: ``of`` holds, for each set, y, v, w, w₂, and w, w₂ of one more up-spell.

    Beyond one half the share that works is bounded instead, with one more up-spell, and mirrored.
    """
    mirrored = mirrored_losses(of.loss)
    if not len(mirrored):
        return bound_loss(of.loss, of.variance, of.more, of.more_square)
    loss, more, more_square = of.loss.copy(), of.more.copy(), of.more_square.copy()
    loss[mirrored] = 1.0 - loss[mirrored]
    more[mirrored], more_square[mirrored] = of.less[mirrored], of.less_square[mirrored]
    found = bound_loss(loss, of.variance, more, more_square)
    low, high = found.low[mirrored], found.high[mirrored]
    found.low[mirrored], found.high[mirrored] = 1.0 - high, 1.0 - low
    return LossBounds(of.loss, found.low, found.high)


def mirrored_losses(loss: Floats) -> Ints:
    """Return which losses are bounded by the share that works: of no others one more up-spell needs to be known."""
    return np.flatnonzero(loss > 0.5)


def bound_bus(window: OutageTotals, record: OutageTotals) -> LossBounds:
    """Bound the bus's loss: the lower bound from the window, the upper from the record (§6, Bus). Arrays are (1,)."""
    mean = (record.down + 3.0) / (record.outages + 1.0)
    square = np.maximum(3.0 * mean**2, record.squares / np.maximum(record.outages, 1.0))
    mean_up = (record.known - record.down + 3.0) / (record.outages + 1.0)
    own, past = (_of_bus(span, mean, square, mean_up) for span in (window, record))
    high = np.maximum(past.high, own.loss)
    # What the window shows to be worse than the record is not bounded by it.
    return LossBounds(own.loss, own.low, np.where(own.low > past.loss, np.maximum(high, own.high), high))


def _of_bus(span: OutageTotals, mean: Floats, square: Floats, mean_up: Floats) -> LossBounds:
    per_hour = np.divide(1.0, span.known, out=np.zeros_like(span.known), where=span.known > 0)
    loss = span.down * per_hour
    scale = (1.0 - loss) * per_hour
    half = 0.5 * mean * scale
    variance = np.maximum(span.outages * square, span.squares) * scale**2
    back = 0.5 * mean_up * loss * per_hour
    return bound_sets(LossMoments(loss, variance, half, 0.5 * (mean * scale) ** 2, back, 2.0 * back**2))


def combine_with_bus(providers: LossBounds, bus: LossBounds) -> LossBounds:
    """Bring the bus in: L = 1 - (1 - y)(1 - y_b); margins add in quadrature, each side by itself (§6, Combine)."""
    up, bus_up = 1.0 - providers.loss, 1.0 - bus.loss
    loss = 1.0 - up * bus_up
    below = np.hypot(bus_up * (providers.loss - providers.low), up * (bus.loss - bus.low))
    above = np.hypot(bus_up * (providers.high - providers.loss), up * (bus.high - bus.loss))
    return LossBounds(loss, np.maximum(0.0, loss - below), np.minimum(1.0, loss + above))
