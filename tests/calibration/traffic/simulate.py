"""Simulate the traffic of a made-up government by hour: exchanges, failures, repeats, durations and sizes by flow."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tests.calibration.traffic.days import LATE_NOWRUZ, NOWRUZ, OFFICIAL, RAMADAN, Days
from tests.calibration.traffic.scenarios import DAILY_LEAST, SCENARIOS, SECOND_MOST, SEED, Scenario

__all__ = ["BUCKETS", "WEEK", "Effects", "Government", "Parts", "Week"]

WEEK = 168
BUCKETS = 16
"""The buckets of durations, bounded by 2^i milliseconds, i = 0 … 14."""

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_HOUR = np.arange(24)
_BY_DAY = np.where((_HOUR >= 7) & (_HOUR < 21), 1.0, 0.15)
_OFFICE = np.where((_HOUR >= 8) & (_HOUR < 15), 1.0, np.where((_HOUR >= 6) & (_HOUR < 18), 0.25, 0.02))
_PUBLIC = np.interp(_HOUR, [0, 2, 6, 10, 13, 17, 21, 23], [0.4, 0.1, 0.1, 0.9, 0.7, 0.8, 1.0, 0.6])
_FAST_OFFICE = np.where((_HOUR >= 9) & (_HOUR < 14), 1.0, np.where((_HOUR >= 7) & (_HOUR < 16), 0.2, 0.02))
_FAST_PUBLIC = np.interp(_HOUR, [0, 3, 5, 9, 15, 18, 20, 23], [0.8, 0.5, 0.3, 0.4, 0.6, 0.2, 0.8, 1.0])

_SHAPES = {
    "flat": np.ones((7, 24)),
    "day": np.tile(_BY_DAY, (7, 1)),
    "office": np.array([_OFFICE] * 5 + [0.5 * _OFFICE, 0.05 * _OFFICE]),
    "public": np.array([_PUBLIC] * 5 + [0.9 * _PUBLIC, 0.6 * _PUBLIC]),
    "batch": np.ones((7, 24)),
}
_LEFT = {
    "office": {OFFICIAL: 0.08, NOWRUZ: 0.04, LATE_NOWRUZ: 0.3, RAMADAN: 0.85},
    "public": {OFFICIAL: 0.65, NOWRUZ: 0.4, LATE_NOWRUZ: 0.6, RAMADAN: 0.95},
}
_FAST = {"office": _FAST_OFFICE / _OFFICE, "public": _FAST_PUBLIC / _PUBLIC}


@dataclass(frozen=True)
class Parts:
    """A government: ``islands`` that share nothing, each with so many flows between its consumers and services."""

    flows: int = 1000
    islands: int = 1
    buses: int = 2
    providers: int = 25
    services: int = 75
    consumers: int = 50


@dataclass(frozen=True)
class Effects:
    """Faults of a week, (flows, hours): shares of exchanges left, points added to shares, factors of durations."""

    left: Floats
    bus: Floats
    provider: Floats
    repeats: Floats
    slow: Floats

    @classmethod
    def none(cls, flows: int) -> Effects:
        """Return a week without faults."""
        zero, one = np.zeros((flows, WEEK)), np.ones((flows, WEEK))
        return cls(one, zero, zero.copy(), zero.copy(), one.copy())


@dataclass(frozen=True)
class Week:
    """Counts of a week, (flows, hours) each, ``durations`` (flows, hours, BUCKETS); ``read`` and ``kind`` (hours,)."""

    count: Ints
    bus: Ints
    provider: Ints
    repeats: Ints
    durations: NDArray[np.int32]
    size: Ints
    expected: Floats
    read: NDArray[np.bool_]
    kind: NDArray[np.int64]


class Government:
    """Flows with their parties and habits, drawn once. Weeks are drawn one after another."""

    def __init__(self, scenario: Scenario, life: int, weeks: int, parts: Parts | None = None) -> None:
        self.scenario, self.weeks = scenario, weeks
        parts = parts or Parts()
        self._key = ([one.name for one in SCENARIOS].index(scenario.name), life, parts.islands)
        rng = np.random.default_rng(np.random.SeedSequence(SEED, spawn_key=self._key))
        self._parties(parts, rng)
        flows = len(self.bus)
        least, most = DAILY_LEAST / 24, SECOND_MOST * 3600
        self.rate = least * (most / least) ** (rng.random(flows) ** 1.5)
        names = list(scenario.kinds)
        of_service = rng.choice(len(names), self.service.max() + 1, p=list(scenario.kinds.values()))
        own = rng.choice(len(names), flows, p=list(scenario.kinds.values()))
        self._names = np.array(names)[np.where(rng.random(flows) < 0.1, own, of_service[self.service])]
        self._run_at = rng.integers(0, 6, flows)
        self.days = Days.of(scenario, weeks, rng)
        self._level = np.cumsum(
            rng.normal(0, scenario.growth, (flows, 1)) + rng.normal(0, scenario.drift, (flows, weeks)), axis=1
        )
        noise = rng.normal(0, 1, (flows, 7 * weeks)) * scenario.day_noise
        noise += (rng.normal(0, 1, (self.consumer.max() + 1, 7 * weeks)) * scenario.shared_noise)[self.consumer]
        for day in range(1, 7 * weeks):
            noise[:, day] = 0.5 * noise[:, day - 1] + np.sqrt(0.75) * noise[:, day]
        self._of_day = noise
        self._median = 150.0 * rng.lognormal(0, 0.8, flows)
        self._spread = rng.uniform(0.3, 0.8, flows)
        self._bus = np.minimum(0.002 * rng.lognormal(0, 0.8, flows), 0.05)
        self._provider = np.minimum(0.01 * rng.lognormal(0, 1.0, flows), 0.15)
        self._repeats = np.minimum(0.001 * rng.lognormal(0, 0.8, flows), 0.02)
        self._size = 4000.0 * rng.lognormal(0, 1.0, flows)

    def _parties(self, parts: Parts, rng: np.random.Generator) -> None:
        each = parts.flows // parts.islands
        rows = []
        for island in range(parts.islands):
            pairs = rng.choice(parts.services * parts.consumers, each, replace=False)
            service, consumer = pairs // parts.consumers, pairs % parts.consumers
            provider = service % parts.providers
            rows.append(
                np.stack(
                    [
                        island * parts.buses + provider % parts.buses,
                        island * parts.services + service,
                        island * parts.providers + provider,
                        island * parts.consumers + consumer,
                        np.full(each, island),
                    ]
                )
            )
        self.bus, self.service, self.provider, self.consumer, self.island = np.concatenate(rows, axis=1)

    def expected(self, week: int) -> Floats:
        """Return a week's exchanges without noise, bursts and the jitter of batches: (flows, hours)."""
        kinds = self.days.kind[7 * week : 7 * week + 7]
        shape = np.empty((len(self.rate), 7, 24))
        for name in self.scenario.kinds:
            of_kind = _SHAPES[name] / _SHAPES[name].mean()
            of_days = np.stack([_day_of(name, of_kind[day], int(kinds[day])) for day in range(7)])
            shape[self._names == name] = of_days
        batch = self._names == "batch"
        shape[batch] = np.where(_HOUR[None, None, :] == self._run_at[batch, None, None], 24.0, 0.0)
        return (self.rate * np.exp(self._level[:, week]))[:, None] * shape.reshape(-1, WEEK)

    def draw(self, week: int, effects: Effects | None = None) -> Week:
        """Draw the counts of a week."""
        rng = np.random.default_rng(np.random.SeedSequence(SEED, spawn_key=(*self._key, 1 + week)))
        scenario, flows = self.scenario, len(self.rate)
        effects = effects or Effects.none(flows)
        expected = self.expected(week)
        mean = expected * np.exp(np.repeat(self._of_day[:, 7 * week : 7 * week + 7], 24, axis=1))
        if scenario.hour_noise:
            mean = mean * rng.lognormal(0, scenario.hour_noise, mean.shape)
        mean = self._jitter(mean, rng) * self._bursts(rng)
        count = rng.poisson(mean * effects.left)
        shares = [
            np.minimum(own[:, None] * rng.lognormal(0, scenario.share_noise, mean.shape), 0.5) + more
            for own, more in (
                (self._bus, effects.bus),
                (self._provider, effects.provider),
                (self._repeats, effects.repeats),
            )
        ]
        bus = rng.binomial(count, shares[0])
        provider = rng.binomial(count - bus, shares[1])
        repeats = rng.binomial(count, shares[2])
        noise = self._size[:, None] * (count + 1.5 * np.sqrt(count) * rng.normal(0, 1, mean.shape))
        durations = self._durations(count, expected, effects.slow, rng)
        read = np.ones(WEEK, np.bool_)
        if scenario.gap_hours and rng.random() < scenario.gap_hours / 6:
            first = int(rng.integers(0, WEEK - 6))
            read[first : first + 6] = False
        return Week(
            count=np.where(read, count, 0),
            bus=np.where(read, bus, 0),
            provider=np.where(read, provider, 0),
            repeats=np.where(read, repeats, 0),
            durations=np.where(read[None, :, None], durations, 0),
            size=np.where(read, np.maximum(noise, 200.0 * count), 0).astype(np.int64),
            expected=expected,
            read=read,
            kind=np.repeat(self.days.listed[7 * week : 7 * week + 7], 24),
        )

    def all_weeks(self) -> Iterator[Week]:
        """Draw every week without faults."""
        return (self.draw(week) for week in range(self.weeks))

    def _jitter(self, mean: Floats, rng: np.random.Generator) -> Floats:
        """Vary the size of batches, and now and then begin them an hour early or late."""
        batch = np.flatnonzero(self._names == "batch")
        if not len(batch):
            return mean
        runs = mean[batch].reshape(len(batch), 7, 24) * rng.lognormal(0, 0.1, (len(batch), 7, 1))
        moved = rng.random((len(batch), 7))
        early, late = np.roll(runs, -1, axis=2), np.roll(runs, 1, axis=2)
        moved_runs = np.where((moved < 0.05)[:, :, None], early, np.where((moved > 0.95)[:, :, None], late, runs))
        mean = mean.copy()
        mean[batch] = moved_runs.reshape(len(batch), WEEK)
        return mean

    def _bursts(self, rng: np.random.Generator) -> Floats:
        factor = np.ones((len(self.rate), WEEK))
        if self.scenario.bursts:
            for flow in np.repeat(np.arange(len(factor)), rng.poisson(self.scenario.bursts, len(factor))).tolist():
                first, long = int(rng.integers(0, WEEK)), int(rng.integers(1, 7))
                factor[flow, first : first + long] = rng.uniform(2, 10)
        return factor

    def _durations(self, count: Ints, expected: Floats, slow: Floats, rng: np.random.Generator) -> NDArray[np.int32]:
        """Draw log-normal durations, a fifth longer in the busiest hours. An hour's median strays by a twentieth."""
        load = expected / np.maximum(expected.max(axis=1, keepdims=True), 1e-12)
        median = self._median[:, None] * (1.0 + 0.2 * load) * slow * rng.lognormal(0, 0.05, load.shape)
        bounds = np.arange(BUCKETS - 1) * np.log(2.0)
        below = _normal_cdf((bounds - np.log(median)[:, :, None]) / self._spread[:, None, None])
        edges = np.concatenate([np.zeros((*load.shape, 1)), below, np.ones((*load.shape, 1))], axis=2)
        return rng.multinomial(count, np.diff(edges, axis=2)).astype(np.int32)


def _normal_cdf(z: Floats) -> Floats:
    """Return the logistic approximation, which is monotone and fast, and as good a distribution as another."""
    return np.asarray(1.0 / (1.0 + np.exp(-1.702 * z)))


def _day_of(name: str, shape: Floats, kind: int) -> Floats:
    if not kind or name not in _LEFT:
        return shape
    left = _LEFT[name][kind] * shape
    return left * _FAST[name] if kind == RAMADAN else left
