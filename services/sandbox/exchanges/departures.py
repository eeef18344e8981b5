"""Departures of the traffic from its record, which findings about exchanges must tell. Pure.

Probes see nothing of them: the links work. In every period one service that many call departs, from a slot by which a detector
that takes seven slots for a week has learned what is usual.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from services.sandbox.exchanges.data_bus import Route

WEEK_STEPS = 7
"""Slots of a simulated week: the fewest that days and weeks can be told apart by."""

PERIOD = 60
"""Slots from one departure to the next."""

_FIRST = 26
"""The slot of the first departure: three simulated weeks are learned by then, and some slots more."""

_LENGTH = 20
_FREQUENT = 3
"""A departure is of one of the services with the most traffic, so that it can be found while it lasts."""

_LEFT = 0.1
"""The share of calls that are left where they fall."""

_SHAPE = (1.2, 1.2, 1.1, 1.1, 1.0, 0.8, 0.6)
"""The volume of each day of a week, as shares of the mean."""


class DepartureKind(StrEnum):
    """What departs, in the words of findings."""

    SILENCE = "silence"
    FALL = "fall"


@dataclass(frozen=True, slots=True)
class Departure:
    """Calls of ``service`` depart in slots [start, end) of the run."""

    kind: DepartureKind
    service: str
    start: int
    end: int


def draw_departure(routes: Sequence[Route], seed: int, number: int) -> Departure | None:
    """Return the departure in effect in the ``number``-th slot of a run; None where traffic is as usual."""
    period, slot = divmod(number - _FIRST, PERIOD)
    if period < 0 or slot >= _LENGTH or not routes:
        return None
    weights: Counter[str] = Counter()
    for route in routes:
        if route.links:
            weights[route.service] += round(1000 * route.weight)
    # Kinds take turns, so that a short run shows the first and a longer one both.
    kind = tuple(DepartureKind)[period % len(DepartureKind)]
    services = [service for service, _ in weights.most_common(_FREQUENT)]
    start = _FIRST + period * PERIOD
    return Departure(kind, random.Random(f"{seed}/departures/{period}").choice(services), start, start + _LENGTH)


def departures(routes: Sequence[Route], seed: int, slots: int) -> Iterator[Departure]:
    """Yield the departures that begin in the first slots of a run, in their order."""
    for start in range(_FIRST, slots, PERIOD):
        departure = draw_departure(routes, seed, start)
        if departure is not None:
            yield departure


def volume_of(slot: int) -> float:
    """Return the volume in a slot, by its absolute number, as a share of the mean over a simulated week."""
    return _SHAPE[slot % WEEK_STEPS]


def is_left_out(departure: Departure | None, service: str, rng: random.Random) -> bool:
    """Return whether a call of a service is not made because of a departure."""
    if departure is None or departure.service != service:
        return False
    return departure.kind is DepartureKind.SILENCE or rng.random() >= _LEFT
