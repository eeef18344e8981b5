"""A security server's operational monitoring, as its clients meet it (X-Road PR-OPMON): SOAP in, multipart out. Pure.

Its answer names what is left: at most so many records at once, with the rest of their last second, and none younger
than ``OFFSET`` seconds by its own clock.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Any

import orjson

from services.core.markup import MarkupError, read_markup
from services.sandbox.faults import Mode, Scope
from services.sandbox.logbook import records
from services.sandbox.parties import Bus, Server
from services.sandbox.replies import OK, Reply, Request, response
from services.sandbox.timeline import Span
from services.sandbox.traffic import Traffic

__all__ = ["OFFSET", "Monitoring", "ailing"]

OFFSET = 2
"""Seconds that records are kept back; real servers keep them for 60, and can be told to."""

_ILL = 0.08
_ILLS = (Mode.REFUSED, Mode.HUNG, Mode.HTTP_5XX, Mode.SLOW)
_MOST_SLOTS = 64  # looked at for one answer
_LEAST = 20  # records that an answer may hold
_FAULTS = ("Server.InternalError", "Server.ServerProxy.AccessDenied", "Server.ServerProxy.ServiceFailed.Timeout")
_ASKED = ".//{*}Body/{*}getSecurityServerOperationalData/{*}searchCriteria"
_BOUNDARY = "xroadSandbox"
_CID = "operational-monitoring-data.json.gz"
_XML = "text/xml; charset=UTF-8"


def ailing(bus: Bus, seed: int, slot: int, turn: int, intensity: float) -> Mapping[str, Span]:
    """Say which security servers do not answer well in a slot, the run's ``turn``-th: by id, for this slot."""
    rng = Random(f"{seed}/servers/{turn}")
    ill = [server.id for server in bus.servers if rng.random() < _ILL * intensity]
    return {name: Span(name, slot, slot + 1, rng.choice(_ILLS), Scope.LINK, rng.randrange(12)) for name in ill}


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
            return Reply(span.mode, response(500, _XML, _fault(_FAULTS[span.variant % len(_FAULTS)])))
        try:
            first, last = _criteria(self._bus.servers[number], request.body)
            given, onward = self._given(number, first, last)
        except ValueError as error:
            return Reply(OK, response(500, _XML, _fault(str(error))))
        kind = f'multipart/related; type="text/xml"; charset=UTF-8; boundary={_BOUNDARY}'
        return Reply(span.mode if span else OK, response(200, kind, _multipart(given, onward)))

    def _given(self, number: int, first: int, last: int) -> tuple[Sequence[Mapping[str, Any]], int | None]:
        """Return the records of these seconds that can be given now, and the second to go on from if that is not all;
        ValueError with a fault code for seconds that have not passed.
        """
        available = int(self._clock() + self._bus.servers[number].skew_ms / 1000) - OFFSET
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
        found = records(self._traffic, number, first, last)
        if len(found) <= self._most:
            return found, onward
        end = int(found[self._most - 1]["monitoringDataTs"])
        given = [record for record in found if record["monitoringDataTs"] <= end]
        return given, end + 1 if len(given) < len(found) else onward


def _criteria(server: Server, body: bytes) -> tuple[int, int]:
    """Read the seconds asked for; ValueError with a fault code for what is not a request to this server."""
    try:
        root = read_markup(body)
        asked = root.findtext(f"{_ASKED}/{{*}}recordsFrom", ""), root.findtext(f"{_ASKED}/{{*}}recordsTo", "")
        first, last = int(asked[0]), int(asked[1])
    except (MarkupError, ValueError):
        raise ValueError("Client.InvalidRequest") from None
    if root.findtext(".//{*}Header/{*}securityServer/{*}serverCode") != server.name.rpartition("/")[2]:
        raise ValueError("Server.ServerProxy.UnknownService")
    return first, last


def _soap(body: str) -> bytes:
    envelope = 'SOAP-ENV:Envelope xmlns:SOAP-ENV="http://schemas.xmlsoap.org/soap/envelope/"'
    monitoring = 'xmlns:om="http://x-road.eu/xsd/op-monitoring.xsd"'
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><{envelope} {monitoring}><SOAP-ENV:Header/>'
        f"<SOAP-ENV:Body>{body}</SOAP-ENV:Body></SOAP-ENV:Envelope>"
    ).encode()


def _fault(code: str) -> bytes:
    return _soap(f"<SOAP-ENV:Fault><faultcode>{code}</faultcode><faultstring>simulated</faultstring></SOAP-ENV:Fault>")


def _multipart(given: Sequence[Mapping[str, Any]], onward: int | None) -> bytes:
    rest = "" if onward is None else f"<om:nextRecordsFrom>{onward}</om:nextRecordsFrom>"
    envelope = _soap(
        f"<om:getSecurityServerOperationalDataResponse><om:recordsCount>{len(given)}</om:recordsCount>"
        f"<om:records>cid:{_CID}</om:records>{rest}</om:getSecurityServerOperationalDataResponse>"
    )
    mark = f"--{_BOUNDARY}".encode()
    about = f"content-type:application/gzip\r\ncontent-transfer-encoding: binary\r\ncontent-id: <{_CID}>".encode()
    packed = gzip.compress(orjson.dumps({"records": given}), mtime=0)
    return b"\r\n".join((mark, b"content-type:text/xml", b"", envelope, mark, about, b"", packed, mark + b"--", b""))
