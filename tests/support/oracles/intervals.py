"""Compute intervals as docs/method.md §6 says, one number at a time, to check the library's arrays.

It imports nothing of the project. A cause is given by its days: lists of slots, each -1 unknown, 0 up or 1 down.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import hypot, inf, sqrt

from scipy.special import gammaincinv

Days = Sequence[Sequence[int]]


@dataclass(frozen=True)
class Sums:
    """K, S, N and Q of a span."""

    known: float
    down: float
    outages: int
    squares: float


def sums(days: Days, slot_hours: float, pause: int) -> Sums:
    """Sum a span of days in hours. An outage ends after ``pause`` slots up. Days that an outage links are a chain."""
    known = [(day, state) for day, slots in enumerate(days) for state in slots if state >= 0]
    outages: list[list[int]] = []  # the day of each slot, by outage
    up = pause
    for day, state in known:
        if state == 0:
            up += 1
            continue
        if up >= pause:
            outages.append([])
        outages[-1].append(day)
        up = 0
    chains: list[list[list[int]]] = []
    for outage in outages:
        # A chain holds the outages of one day, and those of the days that an outage joins.
        if chains and chains[-1][-1][-1] == outage[0]:
            chains[-1].append(outage)
        else:
            chains.append([outage])
    squares = sum(2 * (sum(map(len, chain)) * slot_hours) ** 2 / (len(chain) + 1) for chain in chains)
    down = sum(map(len, outages))
    return Sums(len(known) * slot_hours, down * slot_hours, len(outages), squares)


def pooled(record: Iterable[Sums]) -> tuple[float, float, float]:
    """Return m₀ and M₀ of a class of causes, and the shape of their outages' lengths."""
    record = list(record)
    total = sum(one.down for one in record) + 2
    mean = (sum(one.down**2 / max(one.outages, 1) for one in record) + 4) / total
    square = (sum(one.down * one.squares / max(one.outages, 1) for one in record) + 16) / total
    told = [one for one in record if one.outages >= 2]
    shape = 0.0
    if len(told) >= 2:
        means = sum(max(one.down**2 - one.squares, 0) / (one.outages - 1) for one in told)
        shape = min((sum(one.squares for one in told) + 16) / (means + 8), 10.0)
    return mean, max(square, 2 * mean**2), shape


def g(probability: float, shape: float) -> float:
    """Return the gamma quantile of this shape, divided by the shape."""
    shape = max(shape, 0.03)
    return float(gammaincinv(shape, probability)) / shape


def bounds(loss: float, variance: float, more: float, more_square: float) -> tuple[float, float]:
    """Return the bounds of a loss of at most one half."""
    odds = loss / (1 - loss)
    variance, more, more_square = variance / (1 - loss) ** 4, more / (1 - loss) ** 2, more_square / (1 - loss) ** 4
    raised = odds + more
    low = odds * (g(0.025, odds**2 / variance) if variance > 0 else 1.0)
    high = raised * (g(0.975, raised**2 / (variance + more_square)) if variance + more_square > 0 else 1.0)
    return low / (1 + low), high / (1 + high)


@dataclass(frozen=True)
class Cause:
    """The loss, v, a and b, and a and b of an up-spell."""

    loss: float
    variance: float
    more: tuple[float, float]
    less: tuple[float, float]


def cause(window: Sums, record: Sums, pool: tuple[float, float, float]) -> Cause:
    """Return a cause's loss over the window, with its variance."""
    if window.known == 0:
        return Cause(0, 0, (0, 0), (0, 0))
    loss = window.down / window.known
    up = 1 - loss
    mean = (record.down + 2 * pool[0]) / (record.outages + 2)
    square = max((record.squares + 2 * pool[1]) / (record.outages + 2), pool[2] * mean**2)
    back = (record.known - record.down + 2 * pool[0]) / (record.outages + 2) * loss / window.known
    variance = max(window.outages * square, window.squares) * (up / window.known) ** 2
    return Cause(loss, variance, (mean * up / window.known, square * (up / window.known) ** 2), (back, 2 * back**2))


def set_of(
    loss: float, weights: Mapping[object, float], causes: Mapping[object, Cause], guard: tuple[float, float, float]
) -> tuple[float, float, float]:
    """Return loss and bounds of a set of links. ``weights`` are the shares of its weight that depend on each cause."""
    variance = max(sum(weight**2 * causes[name].variance for name, weight in weights.items()), guard[0])

    def largest(side: str, power: int) -> float:
        return max(weight**power * getattr(causes[name], side)[power - 1] for name, weight in weights.items())

    if loss <= 0.5:
        return loss, *bounds(loss, variance, max(largest("more", 1), guard[1]), max(largest("more", 2), guard[2]))
    low, high = bounds(1 - loss, variance, largest("less", 1), largest("less", 2))
    return loss, 1 - high, 1 - low


def spread(rows: Sequence[tuple[float, float]]) -> float:
    """Return the spread between observed links. Each row is the ωc and the loss of a link."""
    total, square = sum(weight for weight, _ in rows), sum(weight**2 for weight, _ in rows)
    if sum(weight > 0 for weight, _ in rows) < 2:
        return inf
    mean = sum(weight * loss for weight, loss in rows) / total
    return sqrt(sum(weight * (loss - mean) ** 2 for weight, loss in rows) / (total - square / total))


def unobserved(
    of_set: tuple[float, float, float],
    seen: Sequence[float],
    unseen: Mapping[object, Sequence[float]],
    tau: float,
) -> tuple[float, float, float]:
    """Return loss and bounds of a set with its unobserved links.

    ``unseen`` holds the ωc of unobserved links by provider, ``seen`` those of observed links.
    """
    y, low, high = of_set
    of_provider = [sum(some) for some in unseen.values()]
    whole = sum(seen) + sum(of_provider)
    part = sum(of_provider) / whole
    if part == 0:
        return of_set
    draws = sum((one / whole) ** 2 for one in of_provider) + part**2 * sum((one / sum(seen)) ** 2 for one in seen)
    margin = 1.959964 * tau * sqrt(draws)
    low = y - hypot(y - low, min(margin, part * y))
    high = y + hypot(high - y, min(margin, part * (1 - y)))
    return y, max(0.0, low), min(1.0, high)


def with_bus(of_set: tuple[float, float, float], of_bus: tuple[float, float, float]) -> tuple[float, float, float]:
    """Return the loss and bounds of a set combined with those of the bus."""
    y, low, high = of_set
    b, bus_low, bus_high = of_bus
    loss = 1 - (1 - y) * (1 - b)
    below = hypot((1 - b) * (y - low), (1 - y) * (b - bus_low))
    above = hypot((1 - b) * (high - y), (1 - y) * (bus_high - b))
    return loss, max(0.0, loss - below), min(1.0, loss + above)


def bus(window: Sums, record: Sums) -> tuple[float, float, float]:
    """Return the loss and bounds of the bus."""
    mean = (record.down + 3) / (record.outages + 1)
    mean_up = (record.known - record.down + 3) / (record.outages + 1)
    square = max(3 * mean**2, record.squares / max(record.outages, 1))

    def of(span: Sums) -> tuple[float, float, float]:
        if span.known == 0:
            return 0.0, 0.0, 0.0
        loss = span.down / span.known
        scale = (1 - loss) / span.known
        variance = max(span.outages * square, span.squares) * scale**2
        if loss > 0.5:
            back = mean_up * loss / span.known / 2
            low, high = bounds(1 - loss, variance, back, 2 * back**2)
            return loss, 1 - high, 1 - low
        return loss, *bounds(loss, variance, mean * scale / 2, square * scale**2 / 2)

    loss, low, own_high = of(window)
    past_loss, _, past_high = of(record)
    high = max(past_high, loss)
    return loss, low, max(high, own_high) if low > past_loss else high


def guard_of(daily: Sequence[float | None], days: float) -> tuple[float, float, float]:
    """Return the guard: variance with lag-1 autocovariance of daily losses, and the effect of one more bad day.

    An unknown day (None) is left out, and so is a pair of days with such a day.
    """
    known = [one for one in daily if one is not None]
    if len(known) < 2:
        return 0.0, 0.0, 0.0
    mean = sum(known) / len(known)
    variance = sum((one - mean) ** 2 for one in known) / (len(known) - 1)
    pairs = [(one - mean) * (other - mean) for one, other in pairwise(daily) if one is not None and other is not None]
    lagged = sum(pairs) / len(pairs) if pairs else 0.0
    correlated = (variance + 2 * max(lagged, 0.0)) / days
    above = [max(one - mean, 0.0) for one in known]
    if sum(one**2 for one in above) == 0:
        return correlated, 0.0, 0.0
    draws = sum(one**2 for one in above) ** 2 / sum(one**4 for one in above)
    more = sum(one**2 for one in above) / sum(above) / days
    return (1 + 1 / draws) * correlated, more, 2 * more**2
