"""A security server's operational monitoring, as its clients meet it (X-Road PR-OPMON): who is told what. Pure.

Its answer names what is left: at most so many records at once, with the rest of their last second, and none younger
than ``OFFSET`` seconds by its own clock. The member that owns the server and the monitoring subsystem are given all
records, anybody else those of its own side of its own exchanges.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from services.sandbox.security_server.operational_data import records
from services.sandbox.exchanges.data_bus import Bus
from services.sandbox.exchanges.traffic import Traffic
from services.sandbox.faults.faults import Mode
from services.sandbox.faults.timeline import Span
from services.sandbox.security_server.messages import HEALTH, MULTIPART, XML, Question, fault, multipart, read_question
from services.sandbox.security_server.health_data import health
from services.sandbox.servers.replies import OK, Reply, Request, response

__all__ = ["OFFSET", "Monitoring"]

OFFSET = 2
"""Seconds that records are kept back; real servers keep them for 60, and can be told to."""

_MOST_SLOTS = 64  # looked at for one answer
_LEAST = 20  # records that an answer may hold
_FAULTS = ("Server.InternalError", "Server.ServerProxy.AccessDenied", "Server.ServerProxy.ServiceFailed.Timeout")


class Monitoring:
    """What every security server of a bus answers; ``clock`` is the true time in epoch seconds."""

    def __init__(self, bus: Bus, clock: Callable[[], float]) -> None:
        self._bus, self._clock = bus, clock
        self._traffic: Traffic | None = None
        self._most = _LEAST

    def follow(self, traffic: Traffic) -> None:
        """Have logged this traffic; before, nothing is."""
        self._traffic = traffic
        # two records an exchange, spread over the servers: some four slots of a server go into an answer
        self._most = max(_LEAST, round(8 * traffic.rate * traffic.times.slot / len(self._bus.servers)))

    def reply(self, number: int, span: Span | None, request: Request) -> Reply:
        """Answer a request to the server with this number, which is as ``span`` says (None: well)."""
        if span is not None and span.mode is Mode.HTTP_5XX:
            return Reply(span.mode, response(500, XML, fault(_FAULTS[span.variant % len(_FAULTS)])))
        try:
            kind, answer = self._answer(number, read_question(request.body))
        except ValueError as error:
            return Reply(OK, response(500, XML, fault(str(error))))
        return Reply(span.mode if span else OK, response(200, kind, answer))

    def _answer(self, number: int, asked: Question) -> tuple[str, bytes]:
        """Return the content type and body of an answer; ValueError with a fault code where there is none."""
        server = self._bus.servers[number]
        if asked.server != server.name:
            raise ValueError("Server.ServerProxy.UnknownService")
        now = int(self._clock() + server.skew_ms / 1000)
        if asked.what == HEALTH:
            if self._traffic is None:
                raise ValueError("Server.InternalError")
            return XML, health(self._traffic, number, now, asked.provider)
        return MULTIPART, multipart(*self._given(number, asked, now - OFFSET))

    def _given(self, number: int, asked: Question, available: int) -> tuple[Sequence[Mapping[str, Any]], int | None]:
        """Return the records that can be given now of those asked for, and the second to go on from if that is not all;
        ``available`` is the first second that none are given of yet. ValueError with a fault code for seconds that have
        not passed.
        """
        first, last = asked.first, asked.last
        if last < first or first >= available:
            raise ValueError("Client.InvalidRequest")
        onward = available if last >= available else None
        last = min(last, available - 1)
        if self._traffic is None:
            return (), onward
        length = self._traffic.times.slot
        end = max(first, (self._traffic.first_slot - 1) * length) + _MOST_SLOTS * length
        if last > end:
            last, onward = end, end + 1
        party = "" if self._sees_all(number, asked.client) else asked.client
        found = records(self._traffic, number, first, last, party=party, provider=asked.provider)
        if len(found) <= self._most:
            return found, onward
        end = int(found[self._most - 1]["monitoringDataTs"])
        given = [record for record in found if record["monitoringDataTs"] <= end]
        return given, end + 1 if len(given) < len(found) else onward

    def _sees_all(self, number: int, client: str) -> bool:
        return client in (self._bus.monitor, self._bus.servers[number].owner)
