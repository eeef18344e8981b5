"""Which faults happen when: drawn cycle by cycle from the seed, without end. Pure.

Time here is counted in slots from the start of the run; a cycle is CYCLE slots. The faults of a cycle begin in it and
may last into the next one, never further. Every cycle has one fault of every mode on a link whose provider is well;
in the first cycle they are in effect in slots 3 and 4 at the latest, and the bus stays up until slot 6, so that every
stage is seen in every run. The rest is drawn so that most links are well at any time.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from services.core.model import Stage
from services.sandbox.scenario.addresses import Wire

__all__ = ["BUS_MODES", "CYCLE", "Fault", "Mode", "Scope", "draw"]

CYCLE = 12
"""Slots in a cycle."""


class Mode(StrEnum):
    """What goes wrong; the order is that of the stages."""

    REFUSED = "refused"
    TLS_BROKEN = "tls_broken"
    HUNG = "hung"
    HTTP_5XX = "http_5xx"
    WRONG_RECORD = "wrong_record"
    SLOW = "slow"
    STALE = "stale"

    @property
    def stage(self) -> Stage:
        """The stage an inquiry reaches when this is wrong."""
        return _STAGES[self]

    def over(self, *, tls: bool) -> Mode:
        """Return the mode itself, or one of the same stage where there is no TLS to be broken."""
        return Mode.REFUSED if self is Mode.TLS_BROKEN and not tls else self


_STAGES = {
    Mode.REFUSED: Stage.NOT_CONNECTED,
    Mode.TLS_BROKEN: Stage.NOT_CONNECTED,
    Mode.HUNG: Stage.NOT_ANSWERED,
    Mode.HTTP_5XX: Stage.NOT_ANSWERED,
    Mode.WRONG_RECORD: Stage.INVALID,
    Mode.SLOW: Stage.LATE,
    Mode.STALE: Stage.STALE,
}

BUS_MODES = (Mode.REFUSED, Mode.HUNG, Mode.HTTP_5XX, Mode.SLOW)
"""What can be wrong with the bus: it carries records and has none of its own."""


class Scope(StrEnum):
    """What a fault strikes: the bus and every link over it, every link of a provider, or one link."""

    BUS = "bus"
    PROVIDER = "provider"
    LINK = "link"


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault of ``subject`` (a provider's or a link's id; empty for the bus) in slots [start, end) of the run.

    ``variant`` picks among the forms of a mode: which bad certificate, which status.
    """

    scope: Scope
    subject: str
    mode: Mode
    start: int
    end: int
    variant: int


_BIG = 0.1
"""A provider that answers more than this share of the live links fails briefly, and never while the bus does."""

_MODES = tuple(Mode)


def draw(wires: Sequence[Wire], seed: int, cycle: int, intensity: float) -> tuple[Fault, ...]:
    """Draw the faults that begin in a cycle (counted from 0); ``intensity`` 1 is ordinary, 0 is none at all.

    The same arguments give the same faults. At intensity 1 about one live link in seven is in fault on average.
    """
    if intensity <= 0 or not wires:
        return ()
    rng = random.Random(f"{seed}/faults/{cycle}")
    pace = intensity * rng.uniform(0.5, 1.7)
    origin = cycle * CYCLE
    bus = _bus(rng, origin, first=cycle == 0, intensity=intensity)
    providers = _providers(rng, wires, origin, pace, spare_big=bool(bus))
    struck = {fault.subject for fault in providers}
    return (*bus, *providers, *_links(rng, wires, origin, pace, struck))


def _bus(rng: random.Random, origin: int, *, first: bool, intensity: float) -> list[Fault]:
    """Let the bus fail once, for a slot or two, in most cycles, and in the first one for sure."""
    if not first and rng.random() >= 0.6 * intensity:
        return []
    length = rng.randint(1, 2)
    start = origin + rng.randint(6, CYCLE - length)
    return [Fault(Scope.BUS, "", rng.choice(BUS_MODES), start, start + length, rng.randrange(12))]


def _providers(rng: random.Random, wires: Sequence[Wire], origin: int, pace: float, *, spare_big: bool) -> list[Fault]:
    """Let about one provider in sixteen fail for some slots; at most one big one, and none if the bus fails."""
    asked = Counter(wire.provider for wire in wires)
    names = sorted(asked)
    count = min(_rounded(rng, pace * len(names) / 16), len(names) // 4)
    faults = []
    for name in rng.sample(names, k=count):
        big = asked[name] > _BIG * len(wires)
        if big and spare_big:
            continue
        spare_big = spare_big or big
        length = rng.randint(1, 2) if big else rng.randint(2, 6)
        start = origin + rng.randint(0, CYCLE - (length if big else 1))
        faults.append(Fault(Scope.PROVIDER, name, rng.choice(_MODES), start, start + length, rng.randrange(12)))
    return faults


def _links(rng: random.Random, wires: Sequence[Wire], origin: int, pace: float, struck: set[str]) -> list[Fault]:
    """Let one link per mode fail whose provider is well, and about a third of all links some time in the cycle."""
    chosen: dict[str, Fault] = {}
    well = [wire for wire in wires if wire.provider not in struck]
    for mode in _MODES:
        fit = [wire for wire in well if wire.link not in chosen and mode.over(tls=wire.tls) is mode]
        if fit:
            start = origin + rng.randint(1, 3)
            link = rng.choice(fit).link
            end = start + rng.randint(3, 5)
            chosen[link] = Fault(Scope.LINK, link, mode, start, end, rng.randrange(12))
    rest = [wire.link for wire in wires if wire.link not in chosen]
    for link in rng.sample(rest, k=min(_rounded(rng, pace * len(wires) / 3), len(rest))):
        start = origin + rng.randrange(CYCLE)
        end = start + min(int(rng.paretovariate(1.1)), CYCLE)  # outages are heavy-tailed: many short, a few long
        chosen[link] = Fault(Scope.LINK, link, rng.choice(_MODES), start, end, rng.randrange(12))
    return list(chosen.values())


def _rounded(rng: random.Random, expected: float) -> int:
    """Return a whole number that is ``expected`` on average."""
    return int(expected + rng.random())
