"""Draws the faults of a run cycle by cycle from the seed, without end. Pure.

Time is counted in slots from the start of the run; a cycle is CYCLE slots. The faults of a cycle begin in it and may
last into the next one, never further. Every cycle has a fault of every mode on a link whose provider has none. In the
first cycle all of these are in effect in slot 3 and the bus stays up until slot 6, so that every run shows every stage.
The rest is drawn so that most links work at any time.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from services.core.model import Stage
from services.sandbox.scenario import ServedLink

CYCLE = 12
"""Slots in a cycle."""


class FaultMode(StrEnum):
    """How something fails; the order is that of the stages."""

    REFUSED = "refused"
    TLS_BROKEN = "tls_broken"
    HUNG = "hung"
    HTTP_5XX = "http_5xx"
    WRONG_RECORD = "wrong_record"
    SLOW = "slow"
    STALE = "stale"

    @property
    def stage(self) -> Stage:
        """The stage that an inquiry reaches in this mode."""
        return _STAGES[self]

    def over(self, *, tls: bool) -> FaultMode:
        """Return the mode itself, or one of the same stage where there is no TLS to break."""
        return FaultMode.REFUSED if self is FaultMode.TLS_BROKEN and not tls else self


_STAGES = {
    FaultMode.REFUSED: Stage.NOT_CONNECTED,
    FaultMode.TLS_BROKEN: Stage.NOT_CONNECTED,
    FaultMode.HUNG: Stage.NOT_ANSWERED,
    FaultMode.HTTP_5XX: Stage.NOT_ANSWERED,
    FaultMode.WRONG_RECORD: Stage.INVALID,
    FaultMode.SLOW: Stage.LATE,
    FaultMode.STALE: Stage.STALE,
}

BUS_MODES = (FaultMode.REFUSED, FaultMode.HUNG, FaultMode.HTTP_5XX, FaultMode.SLOW)
"""Modes of the bus and of its security servers, which carry records and have none of their own."""


class FaultScope(StrEnum):
    """What a fault affects: the bus and every link over it, every link of a provider, or one link."""

    BUS = "bus"
    PROVIDER = "provider"
    LINK = "link"


@dataclass(frozen=True, slots=True)
class InjectedFault:
    """A fault of ``subject`` (a provider's or a link's id; empty for the bus) in slots [start, end) of the run.

    ``variant`` selects among the forms of a mode: which bad certificate, which status.
    """

    scope: FaultScope
    subject: str
    mode: FaultMode
    start: int
    end: int
    variant: int


_BIG = 0.1
"""A provider of more than this share of the live links fails briefly, and never while the bus does."""

_MODES = tuple(FaultMode)


def draw_faults(
    served_links: Sequence[ServedLink], seed: int, cycle: int, intensity: float
) -> tuple[InjectedFault, ...]:
    """Draw the faults that begin in a cycle (counted from 0); ``intensity`` 1 is ordinary, 0 is none at all.

    The same arguments give the same faults. At intensity 1 about one live link in seven is in fault on average.
    """
    if intensity <= 0 or not served_links:
        return ()
    rng = random.Random(f"{seed}/faults/{cycle}")
    pace = intensity * rng.uniform(0.5, 1.7)
    origin = cycle * CYCLE
    bus = _bus(rng, origin, first=cycle == 0, intensity=intensity)
    providers = _providers(rng, served_links, origin, pace, spare_big=bool(bus))
    failing = {fault.subject for fault in providers}
    return (*bus, *providers, *_links(rng, served_links, origin, pace, failing))


def _bus(rng: random.Random, origin: int, *, first: bool, intensity: float) -> list[InjectedFault]:
    """Draw one failure of the bus, for a slot or two, in most cycles and always in the first."""
    if not first and rng.random() >= 0.6 * intensity:
        return []
    length = rng.randint(1, 2)
    start = origin + rng.randint(6, CYCLE - length)
    return [InjectedFault(FaultScope.BUS, "", rng.choice(BUS_MODES), start, start + length, rng.randrange(12))]


def _providers(
    rng: random.Random, served_links: Sequence[ServedLink], origin: int, pace: float, *, spare_big: bool
) -> list[InjectedFault]:
    """Draw failures of about one provider in sixteen; of the big ones at most one, and none if the bus fails."""
    links = Counter(served.provider for served in served_links)
    names = sorted(links)
    count = min(_rounded(rng, pace * len(names) / 16), len(names) // 4)
    faults = []
    for name in rng.sample(names, k=count):
        big = links[name] > _BIG * len(served_links)
        if big and spare_big:
            continue
        spare_big = spare_big or big
        length = rng.randint(1, 2) if big else rng.randint(2, 6)
        start = origin + rng.randint(0, CYCLE - (length if big else 1))
        faults.append(
            InjectedFault(FaultScope.PROVIDER, name, rng.choice(_MODES), start, start + length, rng.randrange(12))
        )
    return faults


def _links(
    rng: random.Random, served_links: Sequence[ServedLink], origin: int, pace: float, failing: set[str]
) -> list[InjectedFault]:
    """Draw a failure of each mode on a link whose provider works, and of about a third of all links."""
    chosen: dict[str, InjectedFault] = {}
    working = [served for served in served_links if served.provider not in failing]
    for mode in _MODES:
        fitting = [served for served in working if served.link not in chosen and mode.over(tls=served.tls) is mode]
        if fitting:
            start = origin + rng.randint(1, 3)
            link = rng.choice(fitting).link
            end = start + rng.randint(3, 5)
            chosen[link] = InjectedFault(FaultScope.LINK, link, mode, start, end, rng.randrange(12))
    rest = [served.link for served in served_links if served.link not in chosen]
    for link in rng.sample(rest, k=min(_rounded(rng, pace * len(served_links) / 3), len(rest))):
        start = origin + rng.randrange(CYCLE)
        end = start + min(int(rng.paretovariate(1.1)), CYCLE)  # outages are heavy-tailed: many short, a few long
        chosen[link] = InjectedFault(FaultScope.LINK, link, rng.choice(_MODES), start, end, rng.randrange(12))
    return list(chosen.values())


def _rounded(rng: random.Random, expected: float) -> int:
    """Return a whole number that is ``expected`` on average."""
    return int(expected + rng.random())
