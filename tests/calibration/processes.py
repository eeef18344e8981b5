"""Draw exact events, and find the slots in which a probe meets them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.calibration.scenarios import Batch, Outages

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Events:
    """Outages of some causes: ``cause`` (e,) of each, from ``start`` to ``end`` (e,) in hours."""

    cause: NDArray[np.int64]
    start: Floats
    end: Floats

    @classmethod
    def joined(cls, parts: Sequence[Events]) -> Events:
        """Join the events of all parts."""
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in ("cause", "start", "end")))

    def cut(self, begin: float, end: float) -> Events:
        """Return the parts of these outages within a span of time."""
        start, stop = np.maximum(self.start, begin), np.minimum(self.end, end)
        kept = start < stop
        return Events(self.cause[kept], start[kept], stop[kept])

    def spread_to(self, members: Sequence[NDArray[np.int64]]) -> Events:
        """Return the same outages for each member of their cause."""
        counts = np.array([len(one) for one in members])[self.cause]
        cause = np.concatenate([members[one] for one in self.cause.tolist()] or [np.zeros(0, np.int64)])
        return Events(cause, np.repeat(self.start, counts), np.repeat(self.end, counts))

    def slots(self, phase: Floats, slots: int, slot_hours: float) -> NDArray[np.bool_]:
        """Return which slots (slots, causes) are down, probed at ``phase`` (causes,) hours after each slot's start."""
        first, last = (
            np.clip(np.ceil((time - phase[self.cause]) / slot_hours), 0, slots).astype(np.int64)
            for time in (self.start, self.end)
        )
        change = np.zeros((len(phase), slots + 1), dtype=np.int8)
        np.add.at(change, (self.cause, first), 1)
        np.add.at(change, (self.cause, last), -1)
        # Every cause's changes add up to zero, so all causes can be summed at once.
        under_way = np.cumsum(change.ravel(), dtype=np.int8).reshape(change.shape)[:, :-1]
        return np.greater(under_way, 0, out=np.empty((slots, len(phase)), dtype=np.bool_).T).T


def renewal(rng: np.random.Generator, kinds: Sequence[Outages], causes: int, hours: float) -> Events:
    """Draw outages over [0, hours), stationary from the beginning. The ``causes`` have the kinds in turn."""
    kind = np.arange(causes) % len(kinds)
    up, down, spread = (np.array([getattr(one, name) for one in kinds])[kind] for name in ("up", "down", "spread"))
    middle = np.log(down) - spread**2 / 2
    # A moment falls into an outage in proportion to its length, and anywhere in it; an up time has no memory.
    longer = rng.lognormal(middle + spread**2, spread) * rng.random(causes)
    time = np.where(rng.random(causes) < down / (up + down), 0.0, rng.exponential(up))
    length = np.where(time == 0, longer, rng.lognormal(middle, spread))
    found: list[tuple[NDArray[np.int64], Floats, Floats]] = []
    live = np.flatnonzero(time < hours)
    while len(live):
        found.append((live, time[live], time[live] + length[live]))
        time[live] += length[live] + rng.exponential(up[live])
        length[live] = rng.lognormal(middle[live], spread[live])
        live = live[time[live] < hours]
    empty = (np.zeros(0, np.int64), np.zeros(0), np.zeros(0))
    return Events(*(np.concatenate(part) for part in zip(empty, *found, strict=True)))


def batches(rng: np.random.Generator, batch: Batch, causes: int, hours: float) -> Events:
    """Draw work at the same time of every period, over [0, hours)."""
    period = 24.0 * batch.period
    offset = rng.random(causes) * period
    start = offset[:, np.newaxis] + period * np.arange(-1, int(hours / period) + 1)
    middle = np.log(batch.down) - batch.spread**2 / 2
    end = start + rng.lognormal(middle, batch.spread, start.shape)
    cause = np.broadcast_to(np.arange(causes)[:, np.newaxis], start.shape)
    happens = rng.random(start.shape) < batch.chance
    return Events(cause[happens], start[happens], end[happens]).cut(0.0, hours)


def share_down(outages: Outages | None) -> float:
    """Return the long-run share of time in which this process is down."""
    return 0.0 if outages is None else outages.down / (outages.up + outages.down)


def share_busy(batch: Batch | None) -> float:
    """Return the long-run share of time that batch work takes."""
    return 0.0 if batch is None else batch.chance * batch.down / (24.0 * batch.period)


def flaps(rng: np.random.Generator, slots: int, causes: int, length: int) -> NDArray[Any]:
    """Return which slots (slots, causes) are down: ``length`` in turn down and up, from each cause's own beginning."""
    return (np.arange(slots)[:, np.newaxis] + rng.integers(0, 2 * length, causes)) % (2 * length) < length
