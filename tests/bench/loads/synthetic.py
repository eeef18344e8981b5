"""A synthetic register of any size and the batches that probers would send, for benchmarks."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import numpy as np

from services.core.codec import encode_measurements
from services.core.model.measurement import Measurement
from services.core.model.outcome import Outcome, Reason
from services.core.model.register import ALWAYS, Agency, Government, Link, Policy, Register, Service, Vantage
from services.indicator.register_arrays import RegisterArrays

__all__ = ["SLOT", "UNHEARD", "payloads", "register_of"]

SLOT = 300
UNHEARD = "service-000000"
"""A service whose links a benchmark may leave unmeasured."""
_BATCH = 500
_REASONS = {Outcome.OK: Reason.OK, Outcome.NOT_CONNECTED: Reason.CONNECT_REFUSED}


def register_of(links: int) -> Register:
    """Return a register with a hundred links of ten services for each agency, spread over ten sectors."""
    agencies = [f"agency-{one:05d}" for one in range(max(2, links // 100))]
    services = [f"service-{one:06d}" for one in range(links // 10)]
    return Register(
        agencies={one: Agency(one, one, one, f"sector-{at % 10}") for at, one in enumerate(agencies)},
        services={one: Service(one, agencies[at % len(agencies)], one, one) for at, one in enumerate(services)},
        links={
            name: Link(
                id=name,
                service=services[at % len(services)],
                provider=agencies[(at % len(services) + 1 + at // len(services)) % len(agencies)],
                data_item=f"item-{at // len(services)}",
                live_from=ALWAYS,
            )
            for at, name in ((at, f"link-{at:07d}") for at in range(links))
        },
        endpoints={},
        probes={},
        policy=Policy(
            government=Government("gov", "", ""),
            timezone="UTC",
            epoch=datetime(2026, 1, 1, tzinfo=UTC),
            vantages=(Vantage("main"),),
        ),
        register_version="r" * 64,
        probe_version="p" * 64,
    )


def payloads(rng: np.random.Generator, arrays: RegisterArrays, slot: int, *, but: str = "") -> Iterator[bytes]:
    """Yield one slot of every link ``but`` those of a service, in batches as probers send them."""
    unheard = arrays.services.index(but) if but else -1
    heard = [
        target for target, service in zip(arrays.targets, arrays.service.tolist(), strict=False) if service != unheard
    ]
    for start in range(0, len(heard), _BATCH):
        targets = heard[start : start + _BATCH]
        outcome = rng.choice([Outcome.OK, Outcome.NOT_CONNECTED], len(targets), p=[0.99, 0.01]).tolist()
        yield encode_measurements(
            [
                Measurement(target, "main", slot * SLOT, slot * SLOT + at / _BATCH, Outcome(one), _REASONS[one], 0.05)
                for at, (target, one) in enumerate(zip(targets, outcome, strict=True))
            ]
        )
