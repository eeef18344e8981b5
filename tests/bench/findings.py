"""Measure what findings cost: the CPU time to judge many flows hour by hour, and the bytes that are kept of them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from statistics import median

import numpy as np

from services.indicator.findings import Detector, DetectorSettings, StepCounts, Topology
from tests.bench.meters.process import machine

__all__ = ["findings"]

_BUCKETS = 40
_WEEK = 168
_WARM_STEPS = 12
_TIMED_STEPS = 24
_SERVICES, _PROVIDERS, _CONSUMERS, _BUSES = 700, 200, 300, 3


def findings(flows: int) -> Iterator[str]:
    """Judge ``flows`` flows of 2 exchanges a day to 200 a second for a day, after a record of three weeks."""
    yield f"findings of {flows:,} flows, {time.strftime('%F %T %Z')}"
    yield machine()
    rng = np.random.default_rng(1)
    rate = 2 / 24 * (200 * 3600 / (2 / 24)) ** (rng.random(flows) ** 1.5)
    detector = Detector(_topology(flows, rng), DetectorSettings())
    learned = detector.streams.expectation
    # A record as three weeks would leave it, so that every flow is judged from the first step on.
    learned.counts[:] = learned.levels[:] = 2 * rate
    learned.seen[:] = rate
    learned.seen_shape[:] = 1.0
    learned.week[:] = np.stack([rate * _WEEK, np.full(flows, _WEEK), np.full(flows, _WEEK)])
    learned.most_steps[:] = _WEEK
    learned.fast[:] = learned.slow[:] = np.stack([rate * 300, np.full(flows, 300.0), np.full(flows, 40_000.0)])
    learned.learned[:] = 3 * _WEEK
    detector.streams.shares.exchanges[:] = 1_000
    detector.streams.shares.since[:] = 3 * _WEEK
    taken = []
    for number in range(_WARM_STEPS + _TIMED_STEPS):
        step = _step(number, rate, rng)
        began = time.process_time()
        detector.advance(step)
        taken.append(time.process_time() - began)
    timed = taken[_WARM_STEPS:]
    yield f"{len(detector.rows):,} streams with sums; a step {median(timed):.3f} s of CPU (at most {max(timed):.3f} s)"
    kept = sum(_bytes_of(part) for part in vars(detector.streams).values())
    yield f"state {kept / 2**20:.0f} MiB, {kept / flows / _WEEK:.0f} bytes a flow and hour of the week"


def _bytes_of(part: object) -> int:
    """Return the bytes of a part of the state: of an array, or of all arrays of a dataclass."""
    if isinstance(part, np.ndarray):
        return part.nbytes
    return sum(_bytes_of(getattr(part, field.name)) for field in fields(part)) if is_dataclass(part) else 0


def _topology(flows: int, rng: np.random.Generator) -> Topology:
    service = rng.integers(0, _SERVICES, flows)
    provider = service % _PROVIDERS
    buses, services, providers, consumers = (
        tuple(f"{letter}{one}" for one in of.tolist())
        for letter, of in (
            ("b", provider % _BUSES),
            ("s", service),
            ("p", provider),
            ("c", rng.integers(0, _CONSUMERS, flows)),
        )
    )
    names = tuple(f"{bus} {number} {name}" for number, (bus, name) in enumerate(zip(buses, services, strict=True)))
    return Topology(names, buses, services, providers, consumers)


def _step(number: int, rate: np.ndarray, rng: np.random.Generator) -> StepCounts:
    count = rng.poisson(rate)
    durations = np.zeros((len(rate), _BUCKETS), np.int64)
    durations[:, 12:20] = rng.multinomial(count, [0.02, 0.1, 0.2, 0.3, 0.2, 0.1, 0.05, 0.03])
    return StepCounts(
        start=number * 3_600,
        week_step=number % _WEEK,
        count=count,
        bus_failures=rng.binomial(count, 0.002),
        provider_failures=rng.binomial(count, 0.01),
        repeats=rng.binomial(count, 0.001),
        durations=durations,
        size=count * 4_000,
    )
