"""Checks of XML answers: what XPaths find, test records. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from lxml import etree

from services.core.model import Reason
from services.prober.checks.document import CheckFailedError, Document
from services.prober.expected import Expectations, XmlCheck, XPath
from services.prober.observation import Observation
from services.register.reading import fold

_TEXT_OF: Final = etree.XPath("string()", smart_strings=False)


def check_xml(_observation: Observation, expectations: Expectations, document: Document) -> None:
    """Check what XPaths find."""
    _check_texts(expectations.xml, document, Reason.XML)


def check_xml_record(_observation: Observation, expectations: Expectations, document: Document) -> None:
    """Check the fields of the test record."""
    _check_texts(expectations.xml_record, document, Reason.TEST_RECORD)


def _check_texts(checks: tuple[XmlCheck, ...], document: Document, reason: Reason) -> None:
    for check in checks:
        problem = _problem(check, document)
        if problem:
            raise CheckFailedError(reason, problem)


def texts(query: XPath, document: Document) -> Iterator[str]:
    """Yield the texts of what an XPath finds: the content of nodes, XPath's string() of a number or a flag.

    Raises CheckFailedError when the body is not XML.
    """
    result = query(document.root)
    for item in result if isinstance(result, list) else (result,):
        yield _text(item)


def _problem(check: XmlCheck, document: Document) -> str:
    """Return what is wrong at the path, empty when nothing; without the texts, which may be personal."""
    if check.equals is None:
        # Nodes, a text, a number or a flag: as XPath's boolean() has it.
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
