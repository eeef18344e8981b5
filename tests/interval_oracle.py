"""Intervals by the text of INDICATOR.md §6, one number after the other: what the arrays are held against.

It imports nothing of the project. A cause is given by its days: lists of slots, each -1 unknown, 0 up or 1 down.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import hypot

from scipy.special import gammaincinv

Days = Sequence[Sequence[int]]


@dataclass(frozen=True)
class Sums:
    """K, S, N and Q of a span."""

    known: float
    down: float
    outages: int
    squares: float


def sums(days: Days, slot_hours: float) -> Sums:
    """Sum a span of days in hours; outages of days that one outage links are a chain."""
    known = [state for day in days for state in day if state >= 0]
    starts = sum(1 for at, state in enumerate(known) if state == 1 and (at == 0 or known[at - 1] == 0))
    chains: list[tuple[int, int]] = []  # slots down, outages
    before = 0
    for day in days:
        seen = [state for state in day if state >= 0]
        if not seen:
            continue
        linked = before == 1 and seen[0] == 1
        own = sum(1 for at, state in enumerate(seen) if state == 1 and (at == 0 or seen[at - 1] == 0))
        down, outages = chains.pop() if linked else (0, 0)
        chains.append((down + sum(seen), outages + own - linked))
        before = seen[-1]
    squares = sum(2 * (down * slot_hours) ** 2 / (outages + 1) for down, outages in chains)
    return Sums(len(known) * slot_hours, sum(known) * slot_hours, starts, squares)


def pooled(record: Iterable[Sums]) -> tuple[float, float]:
    """m₀ and M₀ of a class of causes."""
    record = list(record)
    total = sum(one.down for one in record) + 2
    mean = (sum(one.down**2 / max(one.outages, 1) for one in record) + 4) / total
    square = (sum(one.down * one.squares / max(one.outages, 1) for one in record) + 16) / total
    return mean, max(square, 2 * mean**2)


def g(probability: float, shape: float) -> float:
    """The gamma quantile of this shape over the shape."""
    shape = max(shape, 0.03)
    return float(gammaincinv(shape, probability)) / shape


def bounds(loss: float, variance: float, more: float, more_square: float) -> tuple[float, float]:
    """Bounds of a loss of at most one half."""
    odds = loss / (1 - loss)
    variance, more, more_square = variance / (1 - loss) ** 4, more / (1 - loss) ** 2, more_square / (1 - loss) ** 4
    low = odds * g(0.025, odds**2 / variance) if odds > 0 else 0.0
    raised = odds + more
    high = raised * g(0.975, raised**2 / (variance + more_square)) if raised > 0 else 0.0
    return low / (1 + low), high / (1 + high)


@dataclass(frozen=True)
class Cause:
    """The loss, v, a and b, and a and b of an up-spell."""

    loss: float
    variance: float
    more: tuple[float, float]
    less: tuple[float, float]


def cause(window: Sums, record: Sums, pool: tuple[float, float]) -> Cause:
    """What the window shows of a cause."""
    if window.known == 0:
        return Cause(0, 0, (0, 0), (0, 0))
    loss = window.down / window.known
    up = 1 - loss
    mean = (record.down + 2 * pool[0]) / (record.outages + 2)
    square = (record.squares + 2 * pool[1]) / (record.outages + 2)
    back = (record.known - record.down + 2 * pool[0]) / (record.outages + 2) * loss / window.known
    variance = max(window.outages * square, window.squares) * (up / window.known) ** 2
    return Cause(loss, variance, (mean * up / window.known, square * (up / window.known) ** 2), (back, 2 * back**2))


def set_of(weights: Mapping[object, float], causes: Mapping[object, Cause], floor: float) -> tuple[float, float, float]:
    """Loss and bounds of a set of links, of whose weight these shares depend on these causes."""
    loss = sum(weight * causes[name].loss for name, weight in weights.items())
    variance = max(sum(weight**2 * causes[name].variance for name, weight in weights.items()), floor)

    def largest(side: str, power: int) -> float:
        return max(weight**power * getattr(causes[name], side)[power - 1] for name, weight in weights.items())

    if loss <= 0.5:
        return loss, *bounds(loss, variance, largest("more", 1), largest("more", 2))
    low, high = bounds(1 - loss, variance, largest("less", 1), largest("less", 2))
    return loss, 1 - high, 1 - low


def with_bus(of_set: tuple[float, float, float], of_bus: tuple[float, float, float]) -> tuple[float, float, float]:
    """Loss and bounds with the bus's."""
    y, low, high = of_set
    b, bus_low, bus_high = of_bus
    loss = 1 - (1 - y) * (1 - b)
    below = hypot((1 - b) * (y - low), (1 - y) * (b - bus_low))
    above = hypot((1 - b) * (high - y), (1 - y) * (bus_high - b))
    return loss, max(0.0, loss - below), min(1.0, loss + above)


def bus(window: Sums, record: Sums) -> tuple[float, float, float]:
    """Loss and bounds of the bus, of at most one half."""
    mean = (record.down + 3) / (record.outages + 1)
    square = max(3 * mean**2, record.squares / max(record.outages, 1))

    def of(span: Sums) -> tuple[float, float, float]:
        loss = span.down / span.known
        scale = (1 - loss) / span.known
        variance = max(span.outages * square, span.squares) * scale**2
        return loss, *bounds(loss, variance, mean * scale / 2, (mean * scale) ** 2 / 2)

    loss, low, own_high = of(window)
    past_loss, _, past_high = of(record)
    high = max(past_high, loss)
    return loss, low, max(high, own_high) if low > past_loss else high


def floor_of(daily: Sequence[float], days: float) -> float:
    """The guard: variance and lag-1 autocovariance of daily losses."""
    if len(daily) < 2:
        return 0.0
    mean = sum(daily) / len(daily)
    apart = [one - mean for one in daily]
    variance = sum(one**2 for one in apart) / (len(daily) - 1)
    lagged = sum(one * other for one, other in pairwise(apart)) / (len(daily) - 1)
    return (variance + 2 * max(lagged, 0.0)) / days
