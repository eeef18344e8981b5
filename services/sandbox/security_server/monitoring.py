"""Answers the messages to security servers themselves: lists, and operational monitoring (X-Road PR-OPMON). Pure.

An answer has a limited number of records with the rest of their last second, none younger than ``OFFSET`` seconds by
the server's clock. It states where the next answer starts. The server's owner and the monitoring subsystem may read all
records, other clients those of their own side of their own exchanges.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from services.sandbox.exchanges import DataBus, SimulatedTraffic
from services.sandbox.faults import FaultMode, FaultSpan
from services.sandbox.security_server.health_data import health_answer
from services.sandbox.security_server.messages import (
    HEALTH,
    MULTIPART,
    XML,
    MonitoringQuery,
    multipart_answer,
    read_query,
    soap_fault,
)
from services.sandbox.security_server.metaservices import list_answer
from services.sandbox.security_server.operational_data import operational_records
from services.sandbox.servers import OK, ReceivedRequest, ServerReply, response

OFFSET = 2
"""Seconds before records are available; 60 on real servers, where it is configurable."""

_MOST_SLOTS = 4
"""The most slots of one answer. Drawing more would delay the targets of this process, which would then be late."""

_MOST_EXCHANGES = 10_000
"""An answer covers no more seconds than have so many exchanges in the mean, because all servers share a thread."""

_FEWEST_RECORDS = 20  # the lowest limit of an answer
_FAULTS = ("Server.InternalError", "Server.ServerProxy.AccessDenied", "Server.ServerProxy.ServiceFailed.Timeout")


class OperationalMonitoring:
    """The monitoring of all security servers of a bus; ``clock`` is the true time in epoch seconds."""

    def __init__(self, bus: DataBus, clock: Callable[[], float]) -> None:
        self._bus, self._clock = bus, clock
        self._traffic: SimulatedTraffic | None = None
        self._most_records = _FEWEST_RECORDS
        self._most_seconds = 1

    def follow(self, traffic: SimulatedTraffic) -> None:
        """Log this traffic; before this call, nothing is logged."""
        self._traffic = traffic
        # with two records an exchange over all servers, an answer holds about four slots of a server
        self._most_records = max(_FEWEST_RECORDS, round(8 * traffic.rate * traffic.times.slot / len(self._bus.servers)))
        self._most_seconds = max(
            1, min(_MOST_SLOTS * traffic.times.slot, int(_MOST_EXCHANGES / max(traffic.rate, 1.0)))
        )

    def reply(self, number: int, span: FaultSpan | None, request: ReceivedRequest) -> ServerReply:
        """Answer a request to the server with this number, in this fault (None: it works)."""
        if span is not None and span.mode is FaultMode.HTTP_5XX:
            return ServerReply(span.mode, response(500, XML, soap_fault(_FAULTS[span.variant % len(_FAULTS)])))
        try:
            content_type, answer = list_answer(self._bus, request) or self._answer(number, read_query(request.body))
        except ValueError as error:
            return ServerReply(OK, response(500, XML, soap_fault(str(error))))
        return ServerReply(span.mode if span else OK, response(200, content_type, answer))

    def _answer(self, number: int, query: MonitoringQuery) -> tuple[str, bytes]:
        """Return the content type and body of an answer. Raises ValueError with a fault code where there is none."""
        server = self._bus.servers[number]
        if query.server != server.name:
            raise ValueError("Server.ServerProxy.UnknownService")
        now = int(self._clock() + server.skew_ms / 1000)
        if query.kind == HEALTH:
            if self._traffic is None:
                raise ValueError("Server.InternalError")
            return XML, health_answer(self._traffic, number, now, query.provider)
        return MULTIPART, multipart_answer(*self._select(number, query, now - OFFSET))

    def _select(
        self, number: int, query: MonitoringQuery, available: int
    ) -> tuple[Sequence[Mapping[str, Any]], int | None]:
        """Return the records of an answer, and the second at which the next answer starts, None for the last one.

        ``available`` is the first second whose records are not available yet. Raises ValueError with a fault code for
        seconds that have not passed.
        """
        first, last = query.first, query.last
        if last < first or first >= available:
            raise ValueError("Client.InvalidRequest")
        next_second = available if last >= available else None
        last = min(last, available - 1)
        if self._traffic is None:
            return (), next_second
        end = max(first, (self._traffic.first_slot - 1) * self._traffic.times.slot) + self._most_seconds
        if last > end:
            last, next_second = end, end + 1
        party = "" if self._sees_all(number, query.client) else query.client
        records = operational_records(self._traffic, number, first, last, party=party, provider=query.provider)
        if len(records) <= self._most_records:
            return records, next_second
        end = int(records[self._most_records - 1]["monitoringDataTs"])
        answer = [record for record in records if record["monitoringDataTs"] <= end]
        return answer, end + 1 if len(answer) < len(records) else next_second

    def _sees_all(self, number: int, client: str) -> bool:
        return client in (self._bus.monitor, self._bus.servers[number].owner)
