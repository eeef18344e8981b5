"""Reads and writes the messages of server monitoring: SOAP in, SOAP or multipart out (X-Road PR-OPMON). Pure."""

from __future__ import annotations

import gzip
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from xml.sax.saxutils import escape

import orjson
from lxml import etree

from services.core.xml import XmlError, parse_xml

RECORDS = "getSecurityServerOperationalData"
HEALTH = "getSecurityServerHealthData"
XML = "text/xml; charset=UTF-8"
JSON = "application/json; charset=utf-8"
IDENTIFIERS = "http://x-road.eu/xsd/identifiers"
_BOUNDARY = "xroadSandbox"
MULTIPART = f'multipart/related; type="text/xml"; charset=UTF-8; boundary={_BOUNDARY}'
_CID = "operational-monitoring-data.json.gz"
_INVALID = "Client.InvalidRequest"
_MOST_DIGITS = 15  # of a second
PARTS = ("xRoadInstance", "memberClass", "memberCode", "subsystemCode", "serviceCode")
"""The parts of the identifier of a service; those of its provider are the first ones."""


@dataclass(frozen=True, slots=True)
class MonitoringQuery:
    """One query: RECORDS or HEALTH, its client, its server, and the provider whose services it is about ("": all).

    A query for RECORDS is for seconds [first, last].
    """

    kind: str
    client: str
    server: str
    provider: str = ""
    first: int = 0
    last: int = 0


def read_query(body: bytes) -> MonitoringQuery:
    """Read a query. Raises ValueError with a fault code for anything else."""
    try:
        root = parse_xml(body)
    except XmlError:
        raise ValueError(_INVALID) from None
    client, server = (
        read_party(root.find("{*}Header/{*}client")),
        read_party(root.find("{*}Header/{*}securityServer"), "serverCode"),
    )
    if (query := root.find(f"{{*}}Body/{{*}}{HEALTH}")) is not None:
        return MonitoringQuery(HEALTH, client, server, read_party(query.find("{*}filterCriteria/{*}client")))
    criteria = f"{{*}}Body/{{*}}{RECORDS}/{{*}}searchCriteria"
    seconds = [root.findtext(f"{criteria}/{{*}}{name}", "") for name in ("recordsFrom", "recordsTo")]
    if not all(text.isdecimal() and len(text) <= _MOST_DIGITS for text in seconds):
        raise ValueError(_INVALID)
    first, last = map(int, seconds)
    return MonitoringQuery(RECORDS, client, server, read_party(root.find(f"{criteria}/{{*}}client")), first, last)


def read_party(element: etree._Element | None, last: str = "subsystemCode") -> str:
    """Return an identifier as INSTANCE/CLASS/CODE and its last part, if any; "" without an element."""
    codes = [] if element is None else [element.findtext(f"{{*}}{name}", "") for name in (*PARTS[:3], last)]
    return "/".join(code for code in codes if code)


def write_codes(codes: Sequence[str], names: Sequence[str] = PARTS) -> str:
    """Return the elements of an identifier's codes; it may have fewer codes than there are names."""
    return "".join(f"<id:{name}>{escape(code)}</id:{name}>" for name, code in zip(names, codes, strict=False))


def soap_message(body: str, header: str = "") -> bytes:
    """Return a SOAP message with this body, and with this element as its header."""
    spaces = {
        "SOAP-ENV": "http://schemas.xmlsoap.org/soap/envelope/",
        "om": "http://x-road.eu/xsd/op-monitoring.xsd",
        "id": IDENTIFIERS,
    }
    named = " ".join(f'xmlns:{prefix}="{space}"' for prefix, space in spaces.items())
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><SOAP-ENV:Envelope {named}>'
        f"{header or '<SOAP-ENV:Header/>'}<SOAP-ENV:Body>{body}</SOAP-ENV:Body></SOAP-ENV:Envelope>"
    ).encode()


def soap_fault(code: str) -> bytes:
    """Return a SOAP fault."""
    return soap_message(
        f"<SOAP-ENV:Fault><faultcode>{code}</faultcode><faultstring>simulated</faultstring></SOAP-ENV:Fault>"
    )


def multipart_answer(records: Sequence[Mapping[str, Any]], next_second: int | None) -> bytes:
    """Return an answer with these records; ``next_second`` is where the next answer starts, None when these are all."""
    rest = "" if next_second is None else f"<om:nextRecordsFrom>{next_second}</om:nextRecordsFrom>"
    envelope = soap_message(
        f"<om:{RECORDS}Response><om:recordsCount>{len(records)}</om:recordsCount>"
        f"<om:records>cid:{_CID}</om:records>{rest}</om:{RECORDS}Response>"
    )
    boundary = f"--{_BOUNDARY}".encode()
    header = f"content-type:application/gzip\r\ncontent-transfer-encoding: binary\r\ncontent-id: <{_CID}>".encode()
    packed = gzip.compress(orjson.dumps({"records": records}), compresslevel=1, mtime=0)  # rather fast than small
    return b"\r\n".join(
        (boundary, b"content-type:text/xml", b"", envelope, boundary, header, b"", packed, boundary + b"--", b"")
    )
