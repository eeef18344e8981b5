"""Checks XML answers: values at XPaths, SOAP envelopes, and faults of provider or data bus. Pure.

Faults are those of SOAP 1.1 §4.4 and SOAP 1.2 part 1 §5.4. X-Road sends its own faults, with the codes of its message
protocol (PR-MESS §2.5, PR-REST §4.6), which services.core.model.xroad_fault reads. A provider's fault keeps its code.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from lxml import etree

from services.core.model import Reason, reason_of_fault
from services.core.texts import fold
from services.prober.checks.document import CheckFailedError, Document
from services.prober.checks.protocols import FAULT_WORDS
from services.prober.expected import Expectations, XmlCheck, XPath
from services.prober.observation import Observation

_TEXT_OF: Final = etree.XPath("string()", smart_strings=False)


def check_xml(_observation: Observation, expectations: Expectations, document: Document) -> None:
    """Check the texts that XPaths find."""
    for check in expectations.xml:
        if problem := xml_problem(check, document):
            raise CheckFailedError(Reason.XML, problem)


def texts(query: XPath, document: Document) -> Iterator[str]:
    """Yield the texts that an XPath finds: the content of nodes, or XPath's string() of a number or a flag.

    Raises CheckFailedError when the body is not XML.
    """
    result = query(document.root)
    for item in result if isinstance(result, list) else (result,):
        yield _text(item)


def xml_problem(check: XmlCheck, document: Document) -> str:
    """Return the problem at the path, empty when there is none. It leaves out the texts, which may be personal."""
    if check.equals is None:
        # Nodes, a text, a number or a flag, as XPath's boolean() converts them.
        result = check.query(document.root)
        return "" if result and result == result else f"{check.path} finds nothing"  # noqa: PLR0124 - NaN is not itself
    expected = fold(check.equals)
    folded = [fold(text) for text in texts(check.query, document)]
    if not folded:
        return f"{check.path} finds nothing"
    return "" if expected in folded else f"{check.path} differs from what is expected"


def _text(item: object) -> str:
    if isinstance(item, str):
        return item
    if isinstance(item, bool):
        return "true" if item else "false"
    if isinstance(item, float):
        return str(int(item)) if item.is_integer() else str(item).replace("nan", "NaN").replace("inf", "Infinity")
    if isinstance(item, tuple):  # from the namespace axis: prefix and URI
        return str(item[1])
    assert isinstance(item, etree._Element)  # noqa: SLF001 - lxml names the class of its nodes no other way
    # lxml does not evaluate an XPath on comments and processing instructions.
    return str(_TEXT_OF(item)) if isinstance(item.tag, str) else item.text or ""


_SOAP: Final = ("http://schemas.xmlsoap.org/soap/envelope/", "http://www.w3.org/2003/05/soap-envelope")
_CODE: Final = re.compile(r"[A-Za-z][\w.:-]{0,99}", re.ASCII)


def check_fault(observation: Observation, expectations: Expectations, document: Document) -> None:
    """Check that the answer is not a SOAP fault, whatever its status."""
    if not expectations.soap or not observation.body:
        return
    try:
        fault = _first_in_body(document.root)
    except CheckFailedError:  # not XML: its status is judged first
        return
    if fault is None or etree.QName(fault).localname != "Fault" or etree.QName(fault).namespace not in _SOAP:
        return
    code = _code(fault)
    if expectations.bus and (reason := reason_of_fault(code)) is not None:
        raise CheckFailedError(reason, f"{FAULT_WORDS[reason]}, with fault {code}")
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
    """Return the code of a fault, in SOAP 1.2 with its subcode after a slash, but not its text: it may be personal."""
    value = fault.findtext("{*}faultcode")
    if value is not None:
        return _readable(value)
    code = _readable(fault.findtext("{*}Code/{*}Value"))
    subcode = _readable(fault.findtext("{*}Code/{*}Subcode/{*}Value"))
    return f"{code}/{subcode}" if subcode else code


def _readable(text: str | None) -> str:
    stripped = (text or "").strip()
    return stripped if _CODE.fullmatch(stripped) else ""
