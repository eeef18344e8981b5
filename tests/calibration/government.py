"""Governments to try intervals on: the links between their agencies, and the weights of these."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from services.indicator.intervals.sets import LinkSets
from tests.calibration.scenarios import Scenario

KINDS = ("link", "service", "consumer", "provider", "sector", "government")
LINKS_A_SERVICE = 5


@dataclass(frozen=True)
class Government:
    """The links of a government, with the connected ones marked in ``live`` (n,).

    ``provider`` and ``weight`` (ω) are (n,), and ``sets`` of links are by kind. ``on_bus`` (n,) marks links that fail
    with the bus, ``unheard`` (n,) those that are never measured.
    """

    agencies: int
    provider: NDArray[np.int64]
    live: NDArray[np.bool_]
    weight: NDArray[np.float64]
    sets: dict[str, LinkSets]
    on_bus: NDArray[np.bool_]
    unheard: NDArray[np.bool_]

    @classmethod
    def of(cls, scenario: Scenario, rng: np.random.Generator) -> Self:
        """Draw the government of a scenario."""
        layout = scenario.layout
        owner = rng.integers(0, layout.agencies, layout.services)
        value = rng.lognormal(0, 1, layout.services) if layout.skewed else np.ones(layout.services)
        chance = 1 / np.arange(1, layout.providers + 1) if layout.skewed else np.ones(layout.providers)
        service = np.repeat(np.arange(layout.services), rng.integers(1, LINKS_A_SERVICE + 1, layout.services))
        consumer = owner[service]
        provider = rng.choice(layout.providers, len(service), p=chance / chance.sum())
        # No agency provides to itself; the next one does.
        provider = np.where(provider == consumer, (provider + 1) % layout.providers, provider)
        inner = rng.lognormal(0, 1, len(service)) if layout.skewed else np.ones(len(service))
        weight = value[service] * inner / np.bincount(service, inner)[service]
        groups = {
            "link": (np.arange(len(service)), len(service)),
            "service": (service, layout.services),
            "consumer": (consumer, layout.agencies),
            "provider": (provider, layout.agencies),
            "sector": (consumer % layout.sectors, layout.sectors),
            "government": (np.zeros(len(service), dtype=np.int64), 1),
        }
        live, on_bus, unheard = (
            rng.random(len(service)) >= share for share in (layout.absent, 1 - scenario.on_bus, 1 - scenario.unheard)
        )
        return cls(
            agencies=layout.agencies,
            provider=provider,
            live=live,
            weight=weight,
            sets={kind: LinkSets.of(group, size, provider) for kind, (group, size) in groups.items()},
            on_bus=on_bus,
            unheard=unheard,
        )

    def mean(self, kind: str, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the ω-weighted mean over all links of each set, 0 for a set without links."""
        sets = self.sets[kind]
        weight = np.bincount(sets.group, self.weight, sets.size)
        return np.bincount(sets.group, self.weight * values, sets.size) / np.where(weight > 0, weight, 1.0)

    def frame_of_days(self, days: int) -> Any:
        """Return what ``cause_states`` needs of this government, once for each day, as if days were other agencies."""
        offsets = self.agencies * np.arange(days)[:, np.newaxis]
        provider = (offsets + self.provider).ravel()
        return SimpleNamespace(agencies=range(self.agencies * days), links=range(len(provider)), provider=provider)
