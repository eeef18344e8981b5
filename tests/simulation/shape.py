"""Draw what one seed simulates: a small government, the truth about its links, and the number of each fault."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from datetime import date
from fractions import Fraction
from typing import Any

from services.core.model import Register, Vantage
from tests.simulation.bus import Trouble
from tests.support.cases.api.indicator_answers import register_of
from tests.support.cases.indicator import VANTAGES
from tests.support.oracles.index import midnight

DAYS = 30
SETTLING_DAYS = 3
"""At the end there are no faults for so long. After that every message must have arrived."""

_ZONES = [("UTC", date(2026, 9, 1)), ("Asia/Tehran", date(2026, 9, 1)), ("Europe/Berlin", date(2026, 10, 10)),
          ("America/Havana", date(2026, 10, 15)), ("America/St_Johns", date(2026, 2, 20))]  # fmt: skip
DAY = 86_400.0


@dataclass(frozen=True, slots=True)
class Shape:
    """What is drawn from a seed at first: sizes, intervals in seconds, and the faults that happen."""

    register: dict[str, Any]
    vantages: tuple[str, ...]
    start: float
    grace_hours: int
    window: int
    archives: bool
    restores: bool
    on_files: bool
    index_seconds: float
    segment_seconds: float
    spool_bytes: int
    trouble: Trouble
    faults: dict[str, int]
    """The number of each fault in the month."""

    @property
    def end(self) -> float:
        """The end of the month."""
        return self.start + DAYS * DAY

    def compiled(self) -> Register:
        """Return the register in the form that components use."""
        register = register_of(self.register)
        vantages = tuple(Vantage(name) for name in self.vantages)
        policy = replace(register.policy, grace_hours=self.grace_hours, windows_days=(self.window,), vantages=vantages)
        return replace(register, policy=policy)


def draw_shape(rng: random.Random) -> Shape:
    """Draw a shape. Each fault is absent from many seeds, so that it does not hide the joint effects of others."""
    timezone, first = rng.choice(_ZONES)
    seconds = rng.choice([10_800, *[21_600] * 7, *[43_200] * 12])
    agencies = [{"id": f"a{number}", "sector": f"x{number % 2}"} for number in range(3)]
    consumers = rng.choice([1, 1, 1, 2])
    services = [{"id": f"s{number}", "agency": f"a{number % consumers}", "weight": 1 + number} for number in range(2)]
    links = [
        {
            "id": f"l{number}",
            "service": f"s{number % 2}",
            "provider": rng.choice(
                [agency["id"] for agency in agencies if agency["id"] != services[number % 2]["agency"]]
            ),
            "required_from": None,
            "required_until": None,
            "live_from": "always",
            "vantages": (),
            "weight": rng.choice([1, 1, 2.5]),
        }
        for number in range(rng.randint(2, 4))
    ]
    register: dict[str, Any] = {
        "government": "gov",
        "timezone": timezone,
        "epoch": 0,
        "slot_seconds": seconds,
        "threshold": Fraction(4, 5),
        "agencies": agencies,
        "services": services,
        "links": links,
        "endpoints": [{"id": "portal", "vantages": ()}],
    }
    register["epoch"] = midnight(register, first)
    archives = rng.random() < 0.2
    return Shape(
        register=register,
        vantages=VANTAGES[: rng.choice([1, 1, 1, 2])],
        start=float(register["epoch"]),
        grace_hours=rng.choice([6, 24]),
        window=rng.choice([7, 28]),
        archives=archives,
        restores=archives and rng.random() < 0.6,
        on_files=rng.random() < 0.2,
        index_seconds=rng.choice([1, *[3, 5, 9] * 4]) * DAY,
        segment_seconds=rng.choice([0.3, 1, 3]) * DAY,
        spool_bytes=rng.choice([256 << 20, 256 << 20, 40_000]),
        trouble=_trouble(rng),
        faults={name: _often(rng, most) for name, most in MOST.items()},
    )


MOST = {
    "kill": 12,
    "kill in the middle": 12,
    "power cut": 4,
    "outage": 6,
    "partition": 6,
    "long partition": 1,
    "disk": 4,
    "clock": 4,
    "stream anew": 1,
    "ids forgotten": 4,
    "damage": 2,
    "lost folder": 1,
    "long stop": 1,
}
"""The most faults of each kind in a month."""


def _often(rng: random.Random, most: int) -> int:
    return rng.randint(1, most) if rng.random() < 0.4 else 0


def _trouble(rng: random.Random) -> Trouble:
    def rate(highest: float) -> float:
        return rng.uniform(0.0, highest) if rng.random() < 0.5 else 0.0

    return Trouble(rate(0.1), rate(0.2), rate(0.1), rate(0.1), rate(0.2))


class Truth:
    """The true stage of each target in each slot."""

    def __init__(self, shape: Shape, rng: random.Random) -> None:
        seconds = shape.register["slot_seconds"]
        first, last = int(shape.start // seconds) - 2, int(shape.end // seconds) + 60
        self.targets = [(False, link["id"]) for link in shape.register["links"]]
        self.targets += [(True, one["id"]) for one in shape.register["endpoints"]]
        self._stages: dict[tuple[bool, str, int], int] = {}
        for target in self.targets:
            stage = 5
            for slot in range(first, last):
                if rng.random() < 0.15:
                    stage = rng.choice([5, 5, 5, 0, 1, 2, 3, 4])
                self._stages[*target, slot] = stage

    def stage(self, endpoint: bool, name: str, slot: int) -> int:  # as a target is
        """Return the stage of a target in a slot."""
        return self._stages[endpoint, name, slot]
