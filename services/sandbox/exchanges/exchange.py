"""One exchange over the data bus: how it goes, and what its two security servers log of it. Pure.

It goes as its link is at that time. What is logged is spoiled on purpose: by the servers' clocks, and by records that
come twice, late or never. Moments are milliseconds since 1970.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from services.sandbox.exchanges.data_bus import Route, Server
from services.sandbox.faults.faults import Mode, Scope
from services.sandbox.faults.timeline import Span
from services.sandbox.timing import Timing

__all__ = ["Ending", "Exchange", "View", "latest", "mediate"]

_LOST = 0.01  # of either side's records
_TWICE = 0.01
_LATE = 0.03
_LATE_SLOTS = 2
_LONGEST_SLOT = 60  # seconds that a slot has at most where lateness is concerned
_UNREACHABLE = "Server.ServerProxy.ServiceFailed.NetworkError"
_BUS_DOWN = "Server.ClientProxy.NetworkError"
_UNKNOWN = 0.02  # of REST answers: that there is no such person

_Stamps = tuple[int, int | None, int | None, int]


class Ending(StrEnum):
    """How an exchange ended: that a provider cannot be reached is a failure the bus reports, and "not found" an answer."""

    OK = "ok"
    BUS_FAILURE = "bus_failures"
    PROVIDER_FAILURE = "provider_failures"


@dataclass(frozen=True, slots=True)
class View:
    """One side's record: stamps of request in and out and response in and out by the clock of its server, whose number
    is ``server``; ``logged`` are the seconds in which its monitoring took it in, more than one if it came twice.
    """

    server: int
    stamps: _Stamps
    logged: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Exchange:
    """One exchange and what is logged of it; a side that is None never is. ``status`` is the HTTP status of REST, ``skew_ms``
    the provider's clock less the client's where both sides are logged.
    """

    id: str
    route: Route
    ending: Ending
    status: int | None
    fault: str
    request_bytes: int
    response_bytes: int
    client: View | None
    producer: View | None
    skew_ms: int | None = None

    @property
    def succeeded(self) -> bool:
        """What the bus logs of it: X-Road says of every REST status from 400 on that it did not, also of an answer."""
        return self.ending is not Ending.BUS_FAILURE and (self.status or 0) < 400

    @property
    def seen(self) -> View:
        """The record that says when it was: the client's where there is one."""
        view = self.client or self.producer
        assert view is not None
        return view


def latest(times: Timing) -> float:
    """Seconds between the start of an exchange and its last record, at the most."""
    return (_LATE_SLOTS + 1) * min(times.slot, _LONGEST_SLOT) + times.timeout + 4


def mediate(
    name: str,
    route: Route,
    span: Span | None,
    start: int,
    servers: Sequence[Server],
    times: Timing,
    rng: random.Random,
) -> Exchange:
    """Let an exchange happen that starts at a moment over a link that is as ``span`` says (None: well)."""
    ending, status, fault = _end(route, span, rng)
    client, producer = _stamps(span, start, times, rng)
    skews = [servers[number].skew_ms for number in (route.client_server, route.provider_server)]
    length = min(times.slot, _LONGEST_SLOT)
    lost = rng.random()
    seen: View | None = _view(route.client_server, client, skews[0], length, rng)
    answered = None if producer is None else _view(route.provider_server, producer, skews[1], length, rng)
    if answered is not None and lost < 2 * _LOST:
        seen, answered = (None, answered) if lost < _LOST else (seen, None)
    return Exchange(
        id=name,
        route=route,
        ending=ending,
        status=status if route.rest else None,
        fault=fault,
        request_bytes=rng.randint(300, 3000),
        response_bytes=rng.randint(200, 20_000) if ending is Ending.OK else rng.randint(200, 600),
        client=seen,
        producer=answered,
        skew_ms=skews[1] - skews[0] if seen and answered else None,
    )


def _end(route: Route, span: Span | None, rng: random.Random) -> tuple[Ending, int | None, str]:
    """Say how it ends, with which status and fault code; wrong, late and stale answers are answers to the bus."""
    mode = span.mode if span else None
    if span is not None and span.cause is Scope.BUS and mode in (Mode.REFUSED, Mode.HUNG, Mode.HTTP_5XX):
        return Ending.BUS_FAILURE, None, _BUS_DOWN
    if mode in (Mode.REFUSED, Mode.TLS_BROKEN, Mode.HUNG):
        return Ending.BUS_FAILURE, None, _UNREACHABLE
    chance = 0.0 if mode is Mode.HTTP_5XX else rng.random()
    if mode is Mode.HTTP_5XX or chance < route.unfair:
        return Ending.PROVIDER_FAILURE, rng.choice((500, 502, 503)), ""
    return Ending.OK, 404 if chance >= 1 - _UNKNOWN else 200, ""


def _stamps(span: Span | None, start: int, times: Timing, rng: random.Random) -> tuple[_Stamps, _Stamps | None]:
    """Say when it passed each server, by true time; the provider's side is None where the bus never got there."""
    mode = span.mode if span else None
    work = round(rng.lognormvariate(3, 0.6))
    if mode is Mode.HUNG:
        work = round(times.timeout * 1000)
    elif mode is Mode.SLOW:
        work += round(times.slow * 1000)
    inside = [rng.randint(1, 4) for _ in range(4)]
    out = start + inside[0]
    if span is not None and span.cause is Scope.BUS and mode in (Mode.REFUSED, Mode.HUNG, Mode.HTTP_5XX):
        return (start, out, None, out + work), None
    network = rng.randint(1, 8)  # the same both ways, so that skew can be told to the millisecond
    came = out + network
    asked = came + inside[1]
    left = asked + work + inside[2]
    back = left + network
    return (start, out, back, back + inside[3]), (came, asked, asked + work, left)


def _view(server: int, stamps: _Stamps, skew: int, slot: int, rng: random.Random) -> View:
    """Log a side by the clock of its server: mostly at once, sometimes slots later, sometimes twice."""
    begin, out, back, end = stamps
    late = rng.randint(1, _LATE_SLOTS) * slot if rng.random() < _LATE else 0
    received = (end + skew) // 1000 + 1 + late
    again = (received + rng.randint(0, slot),) if rng.random() < _TWICE else ()
    own = (begin + skew, out and out + skew, back and back + skew, end + skew)
    return View(server, own, (received, *again))
