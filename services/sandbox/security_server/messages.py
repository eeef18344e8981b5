"""What is asked of a security server's monitoring, and how it is told: SOAP in, SOAP or multipart out (PR-OPMON). Pure."""

from __future__ import annotations

import gzip
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from lxml import etree

from services.core.xml import XmlError, parse_xml

__all__ = ["HEALTH", "MULTIPART", "RECORDS", "XML", "Question", "fault", "multipart", "read_question", "soap"]

RECORDS = "getSecurityServerOperationalData"
HEALTH = "getSecurityServerHealthData"
XML = "text/xml; charset=UTF-8"
_BOUNDARY = "xroadSandbox"
MULTIPART = f'multipart/related; type="text/xml"; charset=UTF-8; boundary={_BOUNDARY}'
_CID = "operational-monitoring-data.json.gz"
_INVALID = "Client.InvalidRequest"
_DIGITS = 15  # that a second may have
_CLIENT = ("xRoadInstance", "memberClass", "memberCode", "subsystemCode")


@dataclass(frozen=True, slots=True)
class Question:
    """One question: RECORDS or HEALTH, who asks, the server it is for, and whose services alone are asked for ("": all).

    RECORDS are asked for of seconds [first, last].
    """

    what: str
    client: str
    server: str
    provider: str = ""
    first: int = 0
    last: int = 0


def read_question(body: bytes) -> Question:
    """Read a question. ValueError with a fault code for what is none."""
    try:
        root = parse_xml(body)
    except XmlError:
        raise ValueError(_INVALID) from None
    client, server = (
        _party(root.find("{*}Header/{*}client")),
        _party(root.find("{*}Header/{*}securityServer"), "serverCode"),
    )
    if (asked := root.find(f"{{*}}Body/{{*}}{HEALTH}")) is not None:
        return Question(HEALTH, client, server, _party(asked.find("{*}filterCriteria/{*}client")))
    criteria = f"{{*}}Body/{{*}}{RECORDS}/{{*}}searchCriteria"
    seconds = [root.findtext(f"{criteria}/{{*}}{name}", "") for name in ("recordsFrom", "recordsTo")]
    if not all(text.isdecimal() and len(text) <= _DIGITS for text in seconds):
        raise ValueError(_INVALID)
    first, last = map(int, seconds)
    return Question(RECORDS, client, server, _party(root.find(f"{criteria}/{{*}}client")), first, last)


def _party(element: etree._Element | None, last: str = _CLIENT[-1]) -> str:
    """Write an identifier as INSTANCE/CLASS/CODE and what its last part is; "" where there is none."""
    codes = [] if element is None else [element.findtext(f"{{*}}{name}", "") for name in (*_CLIENT[:3], last)]
    return "/".join(code for code in codes if code)


def soap(body: str) -> bytes:
    """Write a SOAP message."""
    spaces = {
        "SOAP-ENV": "http://schemas.xmlsoap.org/soap/envelope/",
        "om": "http://x-road.eu/xsd/op-monitoring.xsd",
        "id": "http://x-road.eu/xsd/identifiers",
    }
    named = " ".join(f'xmlns:{prefix}="{space}"' for prefix, space in spaces.items())
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><SOAP-ENV:Envelope {named}><SOAP-ENV:Header/>'
        f"<SOAP-ENV:Body>{body}</SOAP-ENV:Body></SOAP-ENV:Envelope>"
    ).encode()


def fault(code: str) -> bytes:
    """Write a SOAP fault."""
    return soap(f"<SOAP-ENV:Fault><faultcode>{code}</faultcode><faultstring>simulated</faultstring></SOAP-ENV:Fault>")


def multipart(given: Sequence[Mapping[str, Any]], onward: int | None) -> bytes:
    """Write an answer that gives these records; ``onward`` is the second to go on from, None when that is all."""
    rest = "" if onward is None else f"<om:nextRecordsFrom>{onward}</om:nextRecordsFrom>"
    envelope = soap(
        f"<om:{RECORDS}Response><om:recordsCount>{len(given)}</om:recordsCount>"
        f"<om:records>cid:{_CID}</om:records>{rest}</om:{RECORDS}Response>"
    )
    mark = f"--{_BOUNDARY}".encode()
    about = f"content-type:application/gzip\r\ncontent-transfer-encoding: binary\r\ncontent-id: <{_CID}>".encode()
    packed = gzip.compress(orjson.dumps({"records": given}), mtime=0)
    return b"\r\n".join((mark, b"content-type:text/xml", b"", envelope, mark, about, b"", packed, mark + b"--", b""))
