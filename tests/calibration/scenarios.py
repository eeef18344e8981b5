"""The scenarios on which the intervals of docs/method.md §6 are tried: governments, how they fail, and the seed.

Times are hours. A provider, a link or the bus fails by an alternating renewal process that begins in its stationary
state. It is up for an exponential time of mean ``up``, then down for a log-normal time of mean ``down`` whose logarithm
has standard deviation ``spread`` (0: always the mean). Each target is probed once a slot, at its own phase, which is
uniform in the slot. A slot is down when the outage holds at that moment.

These parameters were set before any recipe was tried on them. Recipes are improved, never the parameters. Later
scenarios stand last, and were also set before they were tried.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

__all__ = ["REPLICATIONS", "SCENARIOS", "SEED", "WINDOWS", "Batch", "Layout", "Outages", "Scenario"]

SEED = 140409
"""The root of every random number of the gate. Scenario k draws from its k-th child."""

REPLICATIONS = 1000
WINDOWS = (7, 28, 90)


@dataclass(frozen=True)
class Outages:
    """An alternating renewal process. Its long-run share of time down is down / (up + down)."""

    up: float
    down: float
    spread: float = 1.0


@dataclass(frozen=True)
class Batch:
    """Work that takes a provider off line at the same time every ``period`` days, with this chance each time.

    It lasts a log-normal time around ``down`` hours. Each provider has its own hour and its own day within the period,
    so that no window is aligned with it.
    """

    period: int
    chance: float
    down: float
    spread: float


@dataclass(frozen=True)
class Layout:
    """A government: ``agencies`` that consume, services with 1-5 links. The first ``providers`` agencies also provide.

    ``absent`` is the share of links on paper. ``skewed``: providers are chosen in proportion to 1/rank and weights of
    services are log-normal (spread 1). Otherwise all providers are equally likely and all weights are 1.
    """

    agencies: int = 105
    providers: int = 105
    services: int = 2200
    sectors: int = 10
    absent: float = 0.1
    skewed: bool = False


@dataclass(frozen=True)
class Scenario:
    """One way for a government to fail.

    ``providers`` are assigned to the providers in turn. ``bus`` fails everything at once, and is attributed to the
    bus's endpoint if ``attributed``. ``batch`` adds to the providers' outages. ``own`` are faults of each link alone.
    ``partial`` outages of a provider take every second of its links. ``flapping``: within an outage the provider is
    down for so many minutes, up for as many. ``later``: from the middle of the window on, outages come from these
    processes. ``shift``: the same, but ``later`` is in force over the whole window and ``providers`` held before it, in
    the record. ``gaps`` are times in which nothing is known. ``blank`` is the share of a provider's slots that are
    unknown besides. ``by_link``: every link is simulated by itself, with its own phase, and attributed by
    services.indicator.verdicts.causes. Otherwise a provider's links are one. ``published``: the same, and the results
    go all the way from verdicts to published indicators. Then ``unheard`` is the share of links that are never
    measured, and ``on_bus`` the share of links that fail with the ``bus``. ``young``: there is no record but the
    window. ``slot_seconds``: how often each target is probed. ``weak``: published as a known weak spot.
    """

    name: str
    about: str
    providers: tuple[Outages, ...]
    bus: Outages | None = None
    attributed: bool = True
    batch: Batch | None = None
    own: Outages | None = None
    partial: Outages | None = None
    flapping: int = 0
    later: tuple[Outages, ...] = ()
    shift: bool = False
    gaps: Outages | None = None
    blank: float = 0.0
    by_link: bool = False
    published: bool = False
    unheard: float = 0.0
    on_bus: float = 1.0
    young: bool = False
    slot_seconds: int = 300
    weak: bool = False
    layout: Layout = Layout()

    @property
    def slots_a_day(self) -> int:
        """The number of slots in a day."""
        return 86400 // self.slot_seconds

    @property
    def slot_hours(self) -> float:
        """The hours of a slot."""
        return self.slot_seconds / 3600


SHORT = Outages(up=20, down=1 / 3, spread=0.5)
MEDIUM = Outages(up=120, down=2)
LONG = Outages(up=360, down=8, spread=1.2)
STEADY = Outages(up=1500, down=1)
MIXED = (SHORT, MEDIUM, LONG, STEADY)
RARE_BUS = Outages(up=720, down=3, spread=0.5)
OWN = Outages(up=717, down=3)
SMALL = Layout(agencies=25, providers=25, services=150, sectors=5)

UNMEASURED = Scenario(
    "unmeasured",
    "mixed, 3 h faults of each link, a tenth of the links never measured, half of the links on the bus of rare-bus; "
    "nothing is on paper",
    MIXED,
    bus=RARE_BUS,
    own=OWN,
    published=True,
    unheard=0.1,
    on_bus=0.5,
    layout=replace(SMALL, absent=0.0),
)

SCENARIOS = (
    Scenario("short", "outages of 20 minutes about once a day", (SHORT,)),
    Scenario("long", "heavy-tailed outages of 8 hours, every 15 days", (LONG,)),
    Scenario("mixed", "a quarter of the providers each: short, 2 h, long, steady", MIXED),
    Scenario("rare-bus", "2 h outages, and the bus fails for 3 h once a month", (MEDIUM,), bus=RARE_BUS),
    Scenario("skewed", "mixed, weights of links and services far apart", MIXED, layout=Layout(skewed=True)),
    Scenario("five-providers", "mixed, all links at five providers", MIXED, layout=Layout(providers=5)),
    Scenario(
        "unknown",
        "mixed, a fifth of the slots unknown, half of that in gaps of the vantage",
        MIXED,
        gaps=Outages(up=27, down=3),
        blank=0.11,
    ),
    Scenario("near-perfect", "loss .0005: half an hour every 1000 h", (Outages(up=999.5, down=0.5),)),
    Scenario("poor", "loss .3: outages of 6 h after 14 h", (Outages(up=14, down=6),)),
    Scenario(
        "nightly",
        "batch work of an hour four nights of five, and 2 h outages",
        (MEDIUM,),
        batch=Batch(period=1, chance=0.8, down=1, spread=0.4),
    ),
    Scenario(
        "improvement",
        "2 h outages every other day become four times rarer in the middle of the window",
        (Outages(up=46, down=2),),
        later=(Outages(up=190, down=2),),
    ),
    Scenario(
        "own-faults",
        "2 h outages of providers, 3 h faults of each link every 30 days",
        (MEDIUM,),
        own=OWN,
        by_link=True,
        layout=SMALL,
    ),
    Scenario("large", "mixed, 6,600 services", MIXED, layout=Layout(services=6600)),
    Scenario("scattered", "short outages seen at each link's own phase", (SHORT,), by_link=True, layout=SMALL),
    Scenario("flapping", "6 h of flapping every 10 days", (Outages(up=240, down=6, spread=0.5),), flapping=10),
    Scenario(
        "weekend",
        "a third of weekends off for 12 h, and 2 h outages",
        (MEDIUM,),
        batch=Batch(period=7, chance=1 / 3, down=12, spread=0.3),
    ),
    Scenario(
        "unattributed-bus",
        "rare-bus, but the policy names no bus",
        (MEDIUM,),
        bus=RARE_BUS,
        attributed=False,
    ),
    Scenario(
        "partial",
        "2 h outages, and others of 4 h that take half of a provider's links",
        (MEDIUM,),
        partial=Outages(up=236, down=4),
        by_link=True,
        layout=SMALL,
    ),
    Scenario(
        "worsening",
        "2 h outages become four times more frequent in the middle of the window",
        (Outages(up=190, down=2),),
        later=(Outages(up=46, down=2),),
    ),
    Scenario(
        "past",
        "the record before the window was four times worse",
        (Outages(up=46, down=2),),
        later=(Outages(up=190, down=2),),
        shift=True,
    ),
    Scenario(
        "rare-long-bus",
        "the bus fails for half a day every 120 days",
        (MEDIUM,),
        bus=Outages(up=2868, down=12, spread=0.3),
        weak=True,
    ),
    Scenario(
        "perfect-bus",
        "near-perfect providers, a bus that never fails",
        (Outages(up=999.5, down=0.5),),
        bus=Outages(up=1e9, down=1),
        weak=True,
    ),
    Scenario("day-long", "day-long outages every 45 days", (Outages(up=1056, down=24, spread=0.5),), weak=True),
    Scenario(
        "young",
        "mixed, all links at five providers, no record but the window",
        MIXED,
        young=True,
        layout=Layout(providers=5),
        weak=True,
    ),
    Scenario("minute", "mixed, in slots of a minute", MIXED, slot_seconds=60),
    Scenario(
        "minute-flapping",
        "6 h of flapping every 10 days, 20 minutes each way, in slots of a minute",
        (Outages(up=240, down=6, spread=0.5),),
        flapping=20,
        slot_seconds=60,
    ),
    UNMEASURED,
    replace(
        UNMEASURED, name="unmeasured-paper", about="unmeasured, a tenth of the links on paper", layout=SMALL, weak=True
    ),
)
