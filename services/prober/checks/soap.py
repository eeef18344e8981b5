"""Checks of SOAP answers: the envelope, and whether provider or data bus sent a fault. Pure.

Faults are those of SOAP 1.1 §4.4 and SOAP 1.2 part 1 §5.4. X-Road sends its own, with the codes of its message protocol
(PR-MESS §2.5, PR-REST §4.6): `Client.…`, `Server.ClientProxy.…`, `Server.ServerProxy.…`; a provider's fault keeps its code.
"""

from __future__ import annotations

import re
from typing import Final

from lxml import etree

from services.core.model import Reason
from services.prober.checks.document import CheckFailedError, Document
from services.prober.expected import Expectations
from services.prober.observation import Observation

_SOAP: Final = ("http://schemas.xmlsoap.org/soap/envelope/", "http://www.w3.org/2003/05/soap-envelope")
_CODE: Final = re.compile(r"[A-Za-z][\w.:-]{0,99}", re.ASCII)
# A provider's own `Client.…` is a qualified name; X-Road's has no prefix.
_BUS_FAULT: Final = re.compile(r"Client\.|([\w.-]+:)?Server\.(Client|Server)Proxy(\.|$)", re.ASCII)


def check_fault(observation: Observation, expectations: Expectations, document: Document) -> None:
    """Check that the answer is no SOAP fault, whatever its status."""
    if not expectations.soap or not observation.body:
        return
    try:
        fault = _first_in_body(document.root)
    except CheckFailedError:  # not XML: its status is judged first
        return
    if fault is None or etree.QName(fault).localname != "Fault" or etree.QName(fault).namespace not in _SOAP:
        return
    code = _code(fault)
    if expectations.bus and _BUS_FAULT.match(code):
        raise CheckFailedError(Reason.BUS_ERROR, f"the data bus answered with fault {code}")
    raise CheckFailedError(Reason.SOAP_FAULT, f"SOAP fault {code or 'without a readable code'}")


def check_envelope(_observation: Observation, expectations: Expectations, document: Document) -> None:
    """Check that the answer is a SOAP message."""
    if expectations.soap and _body(document.root) is None:
        raise CheckFailedError(Reason.XML, "the body is XML, but not a SOAP message")


def _body(root: etree._Element) -> etree._Element | None:
    return next((root.find(f"{{{uri}}}Body") for uri in _SOAP if root.tag == f"{{{uri}}}Envelope"), None)


def _first_in_body(root: etree._Element) -> etree._Element | None:
    body = _body(root)
    return None if body is None else next(body.iterchildren(etree.Element), None)


def _code(fault: etree._Element) -> str:
    """Return the code of a fault, in SOAP 1.2 with its subcode after a slash. Its text is not read: it may be personal."""
    value = fault.findtext("{*}faultcode")
    if value is not None:
        return _readable(value)
    code = _readable(fault.findtext("{*}Code/{*}Value"))
    subcode = _readable(fault.findtext("{*}Code/{*}Subcode/{*}Value"))
    return f"{code}/{subcode}" if subcode else code


def _readable(text: str | None) -> str:
    stripped = (text or "").strip()
    return stripped if _CODE.fullmatch(stripped) else ""
