"""A stand-in for a security server that speaks X-Road's operational monitoring protocol.

As with a real one, the answer is multipart with gzip. It has at most ``limit`` records and the rest of their last
second, and nothing younger than a minute by its own clock. Faults are in SOAP.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from lxml import etree

from tests.support.servers.http_server import Request, answer
from tests.support.waiting import DEADLINE

CID = "operational-monitoring-data.json.gz"
OFFSET = 60


def fault(code: str, text: str = "CANARY") -> bytes:
    """A SOAP fault. Its text must not be shown."""
    return (
        '<?xml version="1.0" encoding="UTF-8"?><E:Envelope xmlns:E="http://schemas.xmlsoap.org/soap/envelope/"><E:Body>'
        f"<E:Fault><faultcode>{code}</faultcode><faultstring>{text}</faultstring></E:Fault></E:Body></E:Envelope>"
    ).encode()


def soap(body: str) -> bytes:
    """A SOAP message."""
    return (
        '<?xml version="1.0" encoding="UTF-8"?><E:Envelope xmlns:E="http://schemas.xmlsoap.org/soap/envelope/"'
        ' xmlns:om="http://x-road.eu/xsd/op-monitoring.xsd" xmlns:id="http://x-road.eu/xsd/identifiers">'
        f"<E:Header/><E:Body>{body}</E:Body></E:Envelope>"
    ).encode()


def multipart(envelope: bytes, attachment: bytes, boundary: str = "xroadTest") -> bytes:
    """The two parts of an answer, on the wire."""
    mark = f"--{boundary}".encode()
    head = f"content-type:application/gzip\r\ncontent-transfer-encoding: binary\r\ncontent-id: <{CID}>".encode()
    parts = (mark, b"content-type:text/xml", b"", envelope, mark, head, b"", attachment, mark + b"--", b"")
    return b"\r\n".join(parts)


@dataclass
class Logbook:
    """What a security server has logged, and how it answers. ``records`` carry monitoringDataTs in seconds.

    ``behind`` is the lag of its clock in seconds, ``too_early`` the fault code for seconds that have not passed.
    ``ill`` answers in its place for as long as it returns something.
    """

    records: list[dict[str, Any]] = field(default_factory=list)
    limit: int = 10_000
    behind: float = 0.0
    too_early: str = "Client.InvalidRequest"
    health: str = ""
    ill: Callable[[int], bytes | None] = lambda _: None
    asked: list[tuple[int, int]] = field(default_factory=list)
    headers: list[etree._Element] = field(default_factory=list)
    taken: asyncio.Condition = field(default_factory=asyncio.Condition)
    calls: int = 0

    async def __call__(self, request: Request, writer: asyncio.StreamWriter) -> None:
        self.calls += 1
        async with self.taken:
            self.taken.notify_all()
        writer.write(self.ill(self.calls) or self._answer(request))

    async def reaches(self, calls: int) -> None:
        """Wait until it has received this many requests."""
        async with asyncio.timeout(DEADLINE), self.taken:
            await self.taken.wait_for(lambda: self.calls >= calls)

    def _answer(self, request: Request) -> bytes:
        envelope = etree.fromstring(request.body)
        self.headers.append(envelope)
        close = {"Content-Type": "text/xml", "Connection": "close"}
        if envelope.find(".//{*}Body/{*}getSecurityServerHealthData") is not None:
            return answer(200, soap(self.health), close)
        first, last = (
            int(envelope.findtext(f".//{{*}}searchCriteria/{{*}}{name}", "")) for name in ("recordsFrom", "recordsTo")
        )
        available = int(time.time() - self.behind) - OFFSET
        self.asked.append((first, last))
        if first >= available or last < first:
            return answer(500, fault(self.too_early), close)
        onward = None
        if last >= available:
            last, onward = available - 1, available
        inside = sorted(
            (r for r in self.records if first <= r["monitoringDataTs"] <= last), key=lambda r: r["monitoringDataTs"]
        )
        if len(inside) > self.limit:
            end = inside[self.limit - 1]["monitoringDataTs"]
            given = [r for r in inside if r["monitoringDataTs"] <= end]
            onward = end + 1 if len(given) < len(inside) else onward
            inside = given
        told = f"<om:nextRecordsFrom>{onward}</om:nextRecordsFrom>" if onward is not None else ""
        envelope_back = soap(
            f"<om:getSecurityServerOperationalDataResponse><om:recordsCount>{len(inside)}</om:recordsCount>"
            f"<om:records>cid:{CID}</om:records>{told}</om:getSecurityServerOperationalDataResponse>"
        )
        body = multipart(envelope_back, gzip.compress(json.dumps({"records": inside}).encode()))
        kind = 'multipart/related; type="text/xml"; charset=UTF-8; boundary=xroadTest'
        return answer(200, body, {"Content-Type": kind, "Connection": "close"})
