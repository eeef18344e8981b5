"""Random registers and measurements for the property tests of services.indicator."""

from __future__ import annotations

import random
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import settings
from hypothesis import strategies as st

from tests.support.oracles import index as oracle

SLACK = 1e-12
"""The rounding error that an invariant may have."""

examples = settings(max_examples=60)
"""For tests of invariants, which compute everything at least twice per example."""

VANTAGES = ("north", "south", "west")
# Days near a change of clocks, at midnight in Havana and Tehran, and a day that Apia skipped.
PLACES = [
    ("UTC", date(2024, 2, 28)),
    ("Asia/Tehran", date(2021, 3, 21)),
    ("Asia/Tehran", date(2021, 9, 21)),
    ("America/Havana", date(2024, 3, 10)),
    ("America/Havana", date(2024, 11, 3)),
    ("Europe/Berlin", date(2024, 10, 27)),
    ("Pacific/Apia", date(2011, 12, 30)),
    ("America/St_Johns", date(2010, 11, 7)),
]


@dataclass
class Case:
    """A register and its measurements in the form that the oracle reads, and the window to compute."""

    register: dict[str, Any]
    measurements: list[oracle.Measurement] = field(repr=False)
    days: int
    end_slot: int
    rng: random.Random = field(default_factory=random.Random)
    delayed: list[oracle.Measurement] = field(default_factory=list, repr=False)
    """Measurements that were stored after their slot had settled."""

    def copy(self) -> Case:
        """Return a copy that can be changed independently."""
        return Case(
            deepcopy(self.register), list(self.measurements), self.days, self.end_slot, self.rng, list(self.delayed)
        )

    @property
    def slots(self) -> list[int]:
        """The window's slots."""
        return oracle.window(self.register, self.days, self.end_slot)

    def links(self, *, on: str | None = None) -> list[dict[str, Any]]:
        """Return the register's links, of one service or of all."""
        return [link for link in self.register["links"] if on in (None, link["service"])]


@st.composite
def cases(
    draw: st.DrawFn,
    *,
    whole: bool = False,
    delays: bool = False,
    weights: Sequence[float] = (0, 1, 1, 1, 2.5, 0.1),
) -> Case:
    """Draw a small government around a change of clocks.

    ``whole``: every link live and in force throughout, and measured by every vantage in every slot. ``delays``: some
    measurements are stored too late.
    """
    rng = random.Random(draw(st.integers(0, 2**32)))
    timezone, middle = draw(st.sampled_from(PLACES))
    seconds = draw(st.sampled_from([3600, 7200, 10800, 5 * 3600]))
    midnight = int(datetime(middle.year, middle.month, middle.day, tzinfo=ZoneInfo(timezone)).timestamp())
    agencies = [{"id": f"a{n}", "sector": f"x{n % 2}"} for n in range(draw(st.integers(2, 4)))]
    services = [
        {"id": f"s{n}", "agency": rng.choice(agencies)["id"], "weight": rng.choice(weights)}
        for n in range(draw(st.integers(1, 4)))
    ]

    def day(*, chance: float) -> date | None:
        return middle + timedelta(days=rng.randint(-2, 2)) if rng.random() < chance and not whole else None

    links = []
    for number in range(draw(st.integers(1, 7))):
        service = rng.choice(services)
        provider = rng.choice([agency["id"] for agency in agencies if agency["id"] != service["agency"]])
        live = "always" if whole or rng.random() < 0.6 else day(chance=0.6)
        links.append(
            {
                "id": f"l{number}",
                "service": service["id"],
                "provider": provider,
                "required_from": day(chance=0.3),
                "required_until": day(chance=0.2),
                "live_from": live,
                "vantages": tuple(rng.sample(VANTAGES, 2)) if rng.random() < 0.3 else (),
                "weight": rng.choice(weights),
            }
        )
    register: dict[str, Any] = {
        "government": "gov",
        "timezone": timezone,
        "epoch": midnight - rng.randint(0, 4 * 86400),
        "slot_seconds": seconds,
        "threshold": Fraction(4, 5),
        "agencies": agencies,
        "services": services,
        "links": links,
        "endpoints": [{"id": "l0", "vantages": ()}, {"id": "portal", "vantages": ("north",)}],
    }
    case = Case(
        register=register,
        measurements=[],
        days=draw(st.integers(1, 4)),
        end_slot=(midnight + rng.randint(-86400, 3 * 86400)) // seconds,
        rng=rng,
    )
    gap = 0.0 if whole else rng.choice([0.0, 0.1, 0.5, 0.97])
    good = rng.choice([0.3, 0.9])
    first = -(-register["epoch"] // seconds)
    targets = [(False, link["id"]) for link in links] + [(True, one["id"]) for one in register["endpoints"]]
    for endpoint, target in targets:
        silent = not whole and rng.random() < 0.2
        for slot in range(first - 1, case.end_slot + 2):
            for vantage in VANTAGES[: 1 + rng.randrange(3)] if not whole else VANTAGES:
                if silent or rng.random() < gap:
                    continue
                for _ in range(rng.choice([1, 1, 2])):
                    unknown = not whole and rng.random() < 0.1
                    stage = None if unknown else 5 if rng.random() < good else rng.randrange(6)
                    time = None if unknown and rng.random() < 0.5 else slot * seconds * 10**6 + rng.randrange(-2, 3)
                    rows = case.delayed if delays and rng.random() < 0.3 else case.measurements
                    rows.append((endpoint, target, vantage, slot, time, stage))
    return case


def amended(case: Case) -> dict[str, Any]:
    """Return another version of the register: dates, services, vantages and weights change, links come and go."""
    register, rng = deepcopy(case.register), case.rng
    links = register["links"]
    first = oracle.window(register, 10, case.end_slot)[:1] or [case.end_slot]
    day = datetime.fromtimestamp(first[0] * register["slot_seconds"], ZoneInfo(register["timezone"])).date()
    for link in list(links):
        chance = rng.random()
        moved = day + timedelta(days=rng.randint(-1, 4))
        if chance < 0.15 and len(links) > 1:
            links.remove(link)
        elif chance < 0.3:
            links.append({**link, "id": f"{link['id']}-too"})
        elif chance < 0.8:
            name, value = rng.choice(
                [
                    ("required_from", moved),
                    ("required_until", moved),
                    ("live_from", rng.choice([moved, None, "always"])),
                    ("vantages", rng.choice([(), VANTAGES[:1], VANTAGES[1:]])),
                    ("weight", 3),
                    ("service", rng.choice(register["services"])["id"]),
                ]
            )
            link[name] = value
    return register
