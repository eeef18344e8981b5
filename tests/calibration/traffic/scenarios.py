"""The scenarios on which the detector of docs/method.md §12 is tried: normal traffic, faults in it, and the seed.

Hours are counted from a Saturday at midnight. The sixth day of a week is Thursday, the seventh Friday. These parameters
and the seed were set before any detector was tried on them. Detectors are improved, never the parameters.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

__all__ = [
    "CAUSES",
    "DAILY_LEAST",
    "FAULTS",
    "FAULT_SCENARIOS",
    "JUDGED_WEEKS",
    "LIVES",
    "QUICK",
    "SCENARIOS",
    "SECOND_MOST",
    "SEED",
    "TRAINING_WEEKS",
    "WHOLE",
    "Extent",
    "FaultKind",
    "Scenario",
]

SEED = 14_040_906
"""The root of every random number. Scenario k draws from its k-th child."""

TRAINING_WEEKS = 13
"""No detector is judged in these: X-Road Metrics trains for three months."""

JUDGED_WEEKS = 52
LIVES = 2
"""Lives of 1,000 flows: 104,000 flow-weeks a scenario."""


@dataclass(frozen=True)
class Extent:
    """How much is tried.

    Each scenario has so many ``lives`` of so many ``flows`` and judged ``weeks``. ``fault_lives`` have so many
    ``islands`` of eight flows with a fault each, and ``cause_lives`` so many ``cause_islands`` of forty.
    """

    flows: int = 1000
    weeks: int = JUDGED_WEEKS
    lives: int = LIVES
    islands: int = 250
    fault_lives: int = 10
    cause_islands: int = 25
    cause_lives: int = 4


WHOLE = Extent()
QUICK = Extent(flows=300, weeks=30, lives=1, islands=100, fault_lives=2, cause_islands=12, cause_lives=2)
"""A first look that takes some minutes of a processor. It shows grave faults, and proves nothing."""

DAILY_LEAST, SECOND_MOST = 2.0, 200.0
"""Flows have between so many exchanges a day and so many a second."""


@dataclass(frozen=True)
class Scenario:
    """One kind of normal traffic.

    ``kinds`` are shares of services by the shape of their use: ``flat`` all hours alike; ``day`` by day more than by
    night, all days alike; ``office`` 8 to 15 o'clock, half on Thursday, hardly on Friday; ``public`` until late, less
    on Friday; ``batch`` one run a night, which begins an hour early or late one night of ten and differs in size by a
    tenth. One flow of ten is of another kind than its service.

    ``nowruz``, ``ramadan``, ``holidays``: whether those days differ, each as its kind is used (simulate.py).
    ``late_moon`` is the share of holidays that are kept a day after the day listed. ``growth`` and ``drift`` are
    deviations between flows of the growth per week and of a random walk per week. ``bursts`` is the mean number of
    bursts that a flow has a week, of 1 to 6 hours and 2 to 10 times the traffic. ``hour_noise``, ``day_noise`` and
    ``shared_noise`` are deviations of the logarithm of an hour's use, of a day's, and of a day's that all flows of a
    consumer share. Half of a day's lasts to the next. ``share_noise`` is that of an hour's share of failures and
    repeats. Logs are not read for ``gap_hours`` a week. ``weak``: published as a known weak spot.
    """

    name: str
    about: str
    kinds: dict[str, float] = field(default_factory=lambda: {"office": 0.5, "public": 0.3, "flat": 0.2})
    nowruz: bool = False
    ramadan: bool = False
    holidays: bool = False
    late_moon: float = 0.0
    growth: float = 0.0
    drift: float = 0.0
    bursts: float = 0.0
    hour_noise: float = 0.0
    day_noise: float = 0.0
    shared_noise: float = 0.0
    share_noise: float = 0.2
    gap_hours: float = 0.0
    weak: bool = False


def _mild(name: str, about: str, **habits: Any) -> Scenario:
    """Return a scenario in which hours and days vary a little."""
    return Scenario(name, about, hour_noise=0.05, day_noise=0.05, **habits)


SCENARIOS = (
    Scenario("steady", "all hours alike, pure chance", {"flat": 1.0}),
    Scenario("daily", "days and nights, pure chance", {"day": 1.0}),
    Scenario("weekly", "offices, the public and machines, Thursday and Friday, pure chance"),
    _mild("nowruz", "weekly, and the thirteen days of Nowruz", nowruz=True),
    _mild("ramadan", "weekly, and Ramadan with its two holidays", ramadan=True),
    _mild("holidays", "weekly, and 25 holidays a year that fall on any day of the week", holidays=True),
    _mild("growth", "weekly; flows grow and shrink by some per cent a week", growth=0.01, drift=0.01),
    _mild("bursts", "weekly; a burst of hours every other week in each flow", bursts=0.5),
    _mild("batch", "half of the services run by night, once", kinds={"batch": 0.5, "office": 0.3, "flat": 0.2}),
    Scenario(
        "over-dispersed",
        "weekly; hours, days and shares of failures differ for no reason",
        hour_noise=0.25,
        day_noise=0.15,
        shared_noise=0.1,
        share_noise=0.8,
    ),
    _mild("gaps", "weekly; logs go unread for six hours every other week", gap_hours=3.0),
    Scenario(
        "country",
        "all of it at once, each a little milder",
        {"office": 0.4, "public": 0.3, "flat": 0.15, "batch": 0.15},
        nowruz=True,
        ramadan=True,
        holidays=True,
        growth=0.007,
        drift=0.007,
        bursts=0.1,
        hour_noise=0.15,
        day_noise=0.1,
        shared_noise=0.05,
        share_noise=0.4,
        gap_hours=1.0,
    ),
    _mild(
        "late-moon",
        "holidays, and one in five is kept a day later than listed",
        holidays=True,
        late_moon=0.2,
        weak=True,
    ),
)


@dataclass(frozen=True)
class FaultKind:
    """A fault of a flow: the share of its exchanges left, points added to shares, the factor of durations.

    ``floor`` is the number of expected exchanges below which no method finds it with power .95 at 10⁻⁶, by Poisson
    counts; None where none is stated.
    """

    name: str
    family: str
    left: float = 1.0
    bus: float = 0.0
    provider: float = 0.0
    repeats: float = 0.0
    slow: float = 1.0
    floor: float | None = None


FAULTS = (
    FaultKind("stop", "volume", left=0.0, floor=13.8),
    FaultKind("fall by 80 %", "volume", left=0.2, floor=33.0),
    FaultKind("fall by 50 %", "volume", left=0.5, floor=119.0),
    FaultKind("fall by 20 %", "volume", left=0.8, floor=918.0),
    FaultKind("bus failures + 5 points", "bus", bus=0.05),
    FaultKind("bus failures + 20 points", "bus", bus=0.20),
    FaultKind("provider failures + 5 points", "provider", provider=0.05),
    FaultKind("provider failures + 20 points", "provider", provider=0.20),
    FaultKind("durations x 2", "slow", slow=2.0),
    FaultKind("repeats + 5 points", "repeats", repeats=0.05),
)

CAUSES = ("service", "provider", "consumer", "bus")
"""What may fail at once, with all its flows, by a stop, a fall by half, or 20 points more failures of the provider."""

FAULT_SCENARIOS = ("weekly", "country")
"""Scenarios in which faults are injected: one where the floors hold, and one with everything together."""
