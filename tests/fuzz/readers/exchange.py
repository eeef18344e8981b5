"""Readers of exchange logs and of the answers of security servers."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from io import BytesIO

from services.collector.records import ServerAnswerError, UnreadableError, read, read_answer, read_health
from services.core.xml import XmlError, parse_xml
from tests.fuzz.reader import Reader
from tests.support.servers.security_server import fault, multipart, soap
from tests.support.values.exchange_records import both_sides, record

__all__ = ["READERS"]

_LARGEST_ANSWER = 1 << 20
_GENERIC = {"time": 1_700_000_000, "consumer": "a", "provider": "b", "service": "s", "ok": True, "duration_ms": 5}
_RECORDS_ANSWER = (
    '<om:getSecurityServerOperationalDataResponse xmlns:om="http://x-road.eu/xsd/op-monitoring.xsd">'
    "<om:recordsCount>2</om:recordsCount><om:nextRecordsFrom>1700000100</om:nextRecordsFrom>"
    "</om:getSecurityServerOperationalDataResponse>"
)
_HEALTH_ANSWER = (
    '<om:getSecurityServerHealthDataResponse xmlns:om="m" xmlns:id="i">'
    "<om:statisticsPeriodSeconds>600</om:statisticsPeriodSeconds><om:servicesEvents><om:serviceEvents><om:service>"
    "<id:xRoadInstance>IR</id:xRoadInstance><id:serviceCode>person</id:serviceCode></om:service><om:lastPeriodStatistics>"
    "<om:successfulRequestCount>12</om:successfulRequestCount>"
    "<om:unsuccessfulRequestCount>3</om:unsuccessfulRequestCount>"
    "<om:requestAverageDuration>42.5</om:requestAverageDuration></om:lastPeriodStatistics></om:serviceEvents>"
    "</om:servicesEvents></om:getSecurityServerHealthDataResponse>"
)


def _log(data: bytes) -> None:
    for batch in read(BytesIO(data), size=16):
        for side in batch.sides:
            assert len(side.digest) == 16


def _logs() -> Iterator[bytes]:
    sides = both_sides()
    lines = b"".join(json.dumps(one).encode() + b"\n" for one in (*sides, _GENERIC, record(xRequestId="x-2")))
    yield lines
    yield gzip.compress(lines, mtime=0)
    yield json.dumps([*sides, _GENERIC]).encode()
    yield json.dumps({"records": sides}).encode()
    yield "\n".join([",".join(sides[0]), *(",".join(map(str, side.values())) for side in sides)]).encode()
    yield from _answers()


def _answers() -> Iterator[bytes]:
    packed = gzip.compress(json.dumps({"records": both_sides()}).encode(), mtime=0)
    yield multipart(soap(_RECORDS_ANSWER), packed)


def _envelopes() -> Iterator[bytes]:
    yield soap(_HEALTH_ANSWER)


def _documents() -> Iterator[bytes]:
    yield from _envelopes()
    yield fault("Server.ServerProxy.AccessDenied")
    yield b'<?xml version="1.0" encoding="UTF-16"?><a/>'.decode().encode("utf-16")
    yield b"<!DOCTYPE a [<!ELEMENT a ANY>]><a x='1'><![CDATA[b]]>&amp;<?p q?><!-- c --></a>"


READERS = (
    Reader("exchange log", _log, _logs, (UnreadableError,)),
    Reader("X-Road records answer", lambda data: read_answer(data, _LARGEST_ANSWER), _answers, (ServerAnswerError,)),
    Reader("X-Road health answer", read_health, _envelopes, (ServerAnswerError,)),
    Reader("XML", parse_xml, _documents, (XmlError,)),
)
