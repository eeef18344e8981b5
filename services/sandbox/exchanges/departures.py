"""Draws departures of the traffic from its record, which findings about exchanges must report. Pure.

Probes do not see them, since the links work. In every period some services with many calls depart at once, each in
another way. The first do so after a detector with a week of seven slots has learned what is usual. Slots count from
the first exchanges.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from services.core.model import FindingKind
from services.sandbox.exchanges.data_bus import Route
from services.sandbox.exchanges.exchange import SimulatedExchange
from services.sandbox.faults import FaultMode, FaultScope, FaultSpan

WEEK_STEPS = 7
"""Slots of a simulated week: the fewest by which days and weeks can be told apart."""

PERIOD = 60
"""Slots from one departure to the next."""

LEARNED = 3 * WEEK_STEPS
"""Slots of exchanges before a run, as many as a detector has to see first; servers still have their records."""

_FIRST = LEARNED + 5
"""The slot of the first departures: by then the collector has read the earlier exchanges."""

_LENGTH = 20
_FREQUENT = 8
"""How many services may depart: those that some client calls most, so that departures are found while they last."""

_LEFT = 0.1
"""The share of calls that remain in a fall."""

_MORE = 3
"""How many more calls are made for each call in a rise."""

_FAILING = 0.6
_REPEATED = 0.5
"""The shares of calls that fail, and that repeat the call before."""

_LARGER = 4

_SHAPE = (1.2, 1.2, 1.1, 1.1, 1.0, 0.8, 0.6)
"""The volume of each day of a week, as shares of the mean."""

_VOLUMES = (FindingKind.SILENCE, FindingKind.FALL, FindingKind.RISE)
_OTHERS = tuple(kind for kind in FindingKind if kind not in _VOLUMES)

_FAULTS: Mapping[FindingKind, tuple[float, FaultMode, FaultScope]] = {
    FindingKind.BUS_FAILURES: (_FAILING, FaultMode.HTTP_5XX, FaultScope.BUS),
    FindingKind.PROVIDER_FAILURES: (_FAILING, FaultMode.HTTP_5XX, FaultScope.PROVIDER),
    FindingKind.SLOW: (1.0, FaultMode.SLOW, FaultScope.PROVIDER),
}
"""The faults of exchanges that make a departure, and the share of exchanges that have them."""


@dataclass(frozen=True, slots=True)
class Departure:
    """Calls of ``service`` depart in slots [start, end)."""

    kind: FindingKind
    service: str
    start: int
    end: int

    def calls(self, rng: random.Random) -> int:
        """Return how many calls are made in place of one."""
        if self.kind is FindingKind.FALL:
            return int(rng.random() < _LEFT)
        return {FindingKind.SILENCE: 0, FindingKind.RISE: 1 + _MORE}.get(self.kind, 1)

    def fault(self, span: FaultSpan | None, slot: int, rng: random.Random) -> FaultSpan | None:
        """Return the fault of an exchange in a slot; ``span`` is the fault that it has without the departure."""
        if self.kind not in _FAULTS:
            return span
        share, mode, scope = _FAULTS[self.kind]
        return FaultSpan(self.service, slot, slot + 1, mode, scope, 0) if rng.random() < share else span

    def change(self, exchange: SimulatedExchange, before: str, rng: random.Random) -> SimulatedExchange:
        """Return an exchange as the departure changes it; ``before`` is its client's previous message id."""
        if self.kind is FindingKind.SIZE:
            return replace(exchange, response_bytes=_LARGER * exchange.response_bytes)
        if self.kind is FindingKind.REPEATS and rng.random() < _REPEATED:
            return replace(exchange, message=before)
        return exchange


def draw_departures(routes: Sequence[Route], seed: int, number: int) -> Mapping[str, Departure]:
    """Return the departures in effect in the ``number``-th slot, by service."""
    period, slot = divmod(number - _FIRST, PERIOD)
    if period < 0 or slot >= _LENGTH:
        return {}
    busiest: dict[str, float] = {}
    for route in routes:
        if route.links:
            busiest[route.service] = max(busiest.get(route.service, 0.0), route.weight)
    # Kinds of volume take turns, so that a short run shows the first and a longer one all.
    kinds = _VOLUMES[period % len(_VOLUMES)], *_OTHERS
    services = sorted(busiest, key=lambda service: (-busiest[service], service))[:_FREQUENT]
    random.Random(f"{seed}/departures/{period}").shuffle(services)
    start = _FIRST + period * PERIOD
    pairs = zip(kinds, services, strict=False)  # a small bus has fewer services
    return {service: Departure(kind, service, start, start + _LENGTH) for kind, service in pairs}


def departures(routes: Sequence[Route], seed: int, begin: int, end: int) -> Iterator[Departure]:
    """Yield the departures that begin in slots [begin, end), in their order."""
    for start in range(begin + (_FIRST - begin) % PERIOD, end, PERIOD):
        yield from draw_departures(routes, seed, start).values()


def volume_of(slot: int) -> float:
    """Return the volume in a slot, by its absolute number, as a share of the mean over a simulated week."""
    return _SHAPE[slot % WEEK_STEPS]
