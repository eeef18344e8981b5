"""Simulates one exchange over the data bus: its outcome, and the records that its two security servers log. Pure.

The outcome follows the state of its link at that time. The logs have errors on purpose: clocks that are off, and records
that come twice, late or never. Moments are milliseconds since 1970.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from services.sandbox.exchanges.data_bus import BusServer, Route
from services.sandbox.faults import FaultMode, FaultScope, FaultSpan
from services.sandbox.timing import Timing

_LOST = 0.01  # of either side's records
_REPEATED = 0.01
_LATE = 0.03
_LATE_SLOTS = 2
_LONGEST_SLOT = 60  # seconds; the limit of a slot where lateness is measured in slots
_UNREACHABLE = "Server.ServerProxy.ServiceFailed.NetworkError"
_SOAP_FAULT = "SOAP-ENV:Server"
_BUS_DOWN = "Server.ClientProxy.NetworkError"
_NOT_FOUND = 0.02  # of REST answers

_Stamps = tuple[int, int | None, int | None, int]


class ExchangeOutcome(StrEnum):
    """How an exchange ended. "Not found" is an answer."""

    OK = "ok"
    BUS_FAILURE = "bus_failures"
    PROVIDER_FAILURE = "provider_failures"


@dataclass(frozen=True, slots=True)
class SideRecord:
    """One side's record, with the stamps of request in and out and response in and out by the clock of its server.

    ``server`` is the server's number; ``logged`` are the seconds in which its monitoring stored the record, more than one
    if it was stored twice.
    """

    server: int
    stamps: _Stamps
    logged: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class SimulatedExchange:
    """One exchange and its records; a side that is None is never logged.

    ``message`` is the id that its client gave the message. ``id`` is that of its security server, a new one for each
    time that a client repeats a call. ``status`` is the HTTP status of REST. ``skew_ms`` is the provider's clock minus
    the client's where both sides are logged.
    """

    id: str
    message: str
    route: Route
    outcome: ExchangeOutcome
    status: int | None
    fault: str
    request_bytes: int
    response_bytes: int
    client: SideRecord | None
    producer: SideRecord | None
    skew_ms: int | None = None

    @property
    def succeeded(self) -> bool:
        """Whether the bus logs it as succeeded: X-Road never does for REST statuses from 400, even of answers."""
        return not self.fault and (self.status or 0) < 400

    @property
    def seen(self) -> SideRecord:
        """The record that dates the exchange: the client's where there is one."""
        view = self.client or self.producer
        assert view is not None
        return view

    @property
    def last_logged(self) -> int:
        """The second in which its last record is stored, by the clock of that record's server."""
        return max(side.logged[-1] for side in (self.client, self.producer) if side)


def longest_delay(times: Timing) -> float:
    """Return the largest number of seconds between the start of an exchange and its last record."""
    return (_LATE_SLOTS + 1) * min(times.slot, _LONGEST_SLOT) + times.timeout + 4


def simulate_exchange(
    name: str,
    route: Route,
    span: FaultSpan | None,
    start: int,
    servers: Sequence[BusServer],
    times: Timing,
    rng: random.Random,
) -> SimulatedExchange:
    """Return an exchange that starts at a moment over a link with this fault (None: it works)."""
    outcome, status, fault = _draw_outcome(route, span, rng)
    if not route.rest:  # SOAP has faults where REST has statuses
        status, fault = None, fault or (_SOAP_FAULT if outcome is ExchangeOutcome.PROVIDER_FAILURE else "")
    client_stamps, producer_stamps = _draw_stamps(span, start, times, rng)
    client_skew, producer_skew = servers[route.client_server].skew_ms, servers[route.provider_server].skew_ms
    slot = min(times.slot, _LONGEST_SLOT)
    lost = rng.random()
    client: SideRecord | None = _log(route.client_server, client_stamps, client_skew, slot, rng)
    producer: SideRecord | None = None
    if producer_stamps is not None:
        producer = _log(route.provider_server, producer_stamps, producer_skew, slot, rng)
        if lost < _LOST:
            client = None
        elif lost < 2 * _LOST:
            producer = None
    return SimulatedExchange(
        id=name,
        message=name,
        route=route,
        outcome=outcome,
        status=status,
        fault=fault,
        request_bytes=rng.randint(300, 3000),
        response_bytes=rng.randint(200, 20_000) if outcome is ExchangeOutcome.OK else rng.randint(200, 600),
        client=client,
        producer=producer,
        skew_ms=producer_skew - client_skew if client and producer else None,
    )


def _draw_outcome(route: Route, span: FaultSpan | None, rng: random.Random) -> tuple[ExchangeOutcome, int | None, str]:
    """Return the outcome, the status and the fault code; to the bus, wrong, late and stale answers are answers."""
    mode = span.mode if span else None
    if _bus_is_down(span):
        return ExchangeOutcome.BUS_FAILURE, None, _BUS_DOWN
    if mode in (FaultMode.REFUSED, FaultMode.TLS_BROKEN, FaultMode.HUNG):
        return ExchangeOutcome.PROVIDER_FAILURE, None, _UNREACHABLE
    chance = 0.0 if mode is FaultMode.HTTP_5XX else rng.random()
    if mode is FaultMode.HTTP_5XX or chance < route.unfair:
        return ExchangeOutcome.PROVIDER_FAILURE, rng.choice((500, 502, 503)), ""
    return ExchangeOutcome.OK, 404 if chance >= 1 - _NOT_FOUND else 200, ""


def _bus_is_down(span: FaultSpan | None) -> bool:
    modes = (FaultMode.REFUSED, FaultMode.HUNG, FaultMode.HTTP_5XX)
    return span is not None and span.cause is FaultScope.BUS and span.mode in modes


def _draw_stamps(
    span: FaultSpan | None, start: int, times: Timing, rng: random.Random
) -> tuple[_Stamps, _Stamps | None]:
    """Return when it passed each server, in true time; the provider's side is None where the bus did not reach it."""
    mode = span.mode if span else None
    work = round(rng.lognormvariate(3, 0.6))
    if mode is FaultMode.HUNG:
        work = round(times.timeout * 1000)
    elif mode is FaultMode.SLOW:
        work += round(times.slow * 1000)
    inside = [rng.randint(1, 4) for _ in range(4)]
    out = start + inside[0]
    if _bus_is_down(span):
        return (start, out, None, out + work), None
    network = rng.randint(1, 8)  # the same both ways, so that skew can be measured to the millisecond
    arrived = out + network
    passed_on = arrived + inside[1]
    left = passed_on + work + inside[2]
    back = left + network
    return (start, out, back, back + inside[3]), (arrived, passed_on, passed_on + work, left)


def _log(server: int, stamps: _Stamps, skew: int, slot: int, rng: random.Random) -> SideRecord:
    """Return the record of a side by the clock of its server: mostly at once, sometimes slots later, sometimes twice."""
    begin, out, back, end = stamps
    late = rng.randint(1, _LATE_SLOTS) * slot if rng.random() < _LATE else 0
    received = (end + skew) // 1000 + 1 + late
    again = (received + rng.randint(0, slot),) if rng.random() < _REPEATED else ()
    own = (begin + skew, out and out + skew, back and back + skew, end + skew)
    return SideRecord(server, own, (received, *again))
