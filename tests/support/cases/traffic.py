"""Traffic of a small government with short weeks, for tests of findings."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.indicator.findings import DetectorSettings, FlowCounts, Topology

WEEK = 28
"""Steps of a week: four a day."""

SETTINGS = DetectorSettings(week_steps=WEEK)
START = 1_700_000_000 // 3_600 * 3_600


def small_topology(consumers: int = 4, services: int = 4) -> Topology:
    """Return flows of every consumer to every service, with two services per provider and one bus."""
    pairs = [(consumer, service) for service in range(services) for consumer in range(consumers)]
    return Topology(
        flows=tuple(f"bus c{consumer} s{service}" for consumer, service in pairs),
        bus=("bus",) * len(pairs),
        service=tuple(f"bus s{service}" for _, service in pairs),
        provider=tuple(f"p{service // 2}" for _, service in pairs),
        consumer=tuple(f"c{consumer}" for consumer, _ in pairs),
    )


@dataclass(frozen=True)
class Traffic:
    """Mean numbers of exchanges by flow and hour, (f, h), with the shape of a week."""

    mean: NDArray[np.float64]

    @classmethod
    def of(cls, topology: Topology, weeks: int, rate: float = 200.0) -> Traffic:
        """Return means: a busy and a quiet half of each day, a day of rest, and flows that differ tenfold."""
        flows = len(topology.flows)
        day = np.array([0.5, 1.5, 1.5, 0.5])
        week = np.concatenate([day] * 6 + [0.2 * day])
        return cls(rate * np.geomspace(0.5, 5.0, flows)[:, None] * np.tile(week, weeks))

    def counts(
        self,
        seed: int = 1,
        *,
        failed: NDArray[np.float64] | float = 0.01,
        read: NDArray[np.bool_] | None = None,
        slow: NDArray[np.float64] | float = 1.0,
    ) -> FlowCounts:
        """Draw counts. ``failed`` is the share that the provider fails; ``slow`` multiplies that of long durations."""
        rng = np.random.default_rng(seed)
        count = rng.poisson(self.mean)
        steps = count.shape[1]
        kept = np.ones(steps, np.bool_) if read is None else read
        count = np.where(kept, count, 0)
        odds = np.broadcast_to(0.1 * np.asarray(slow), count.shape)
        late = rng.binomial(count, np.minimum(odds, 0.95))
        return FlowCounts(
            start=START,
            week_step=np.arange(steps) % WEEK,
            kind=np.zeros(steps, np.int64),
            read=kept,
            count=count,
            bus_failures=rng.binomial(count, 0.002),
            provider_failures=rng.binomial(count, np.broadcast_to(failed, count.shape)),
            repeats=rng.binomial(count, 0.001),
            durations=np.stack([count - late, late], axis=2),
            size=count * 1_000,
        )
