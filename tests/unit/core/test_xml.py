"""XML from untrusted sources is read in time that grows with its size."""

from __future__ import annotations

import pytest

from services.core.xml import XmlError, parse_xml

ATTRIBUTES = [f"<!ATTLIST r a{number} CDATA #IMPLIED>" for number in range(1000)]
LARGE = f"<!DOCTYPE r [{''.join(ATTRIBUTES)}]><r/>"
SMALL = f"<!DOCTYPE r [{''.join(ATTRIBUTES[:300])}]>"
MANY = "".join(f" a{number}='x'" for number in range(3000))
ELEMENTS = f"<r>{'<a/>' * 10_000}</r>"


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (LARGE.encode(), None),
        (LARGE.encode(), "utf-8"),
        (f"<!--{'x' * 20_000}-->{LARGE}".encode(), None),
        (LARGE.encode("utf-16"), None),
        (f'<?xml version="1.0" encoding="UTF-16LE"?>{LARGE}'.encode("utf-16-le"), None),
        (LARGE.replace("<!DOCTYPE", "+ADwAIQ-DOCTYPE").encode(), "utf-7"),
        (b'<?xml version="1.0" encoding="utf-7"?>' + LARGE.replace("<!DOCTYPE", "+ADwAIQ-DOCTYPE").encode(), None),
        (LARGE.encode(), "no-such-encoding"),
    ],
)
def test_a_large_declaration_is_refused(text: bytes, encoding: str | None) -> None:
    """A declaration of many attributes is refused in any encoding: libxml2 would compare each with all others."""
    with pytest.raises(XmlError, match="has a document type declaration of more than 16 KiB"):
        parse_xml(text, encoding)


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (ELEMENTS.encode(), None),
        (ELEMENTS.encode("utf-16"), None),
        (ELEMENTS.encode("cp1256"), "windows-1256"),
        (f'<?xml version="1.0"?>{ELEMENTS}'.encode(), None),
        (f'<?xml version="1.0" encoding="windows-1256"?>{ELEMENTS}'.encode("cp1256"), None),
        (f"{SMALL}{ELEMENTS}".encode(), None),
        (f"<!--{'x' * 40_000}--><!DOCTYPE r>{ELEMENTS}".encode(), None),
        (ELEMENTS.replace("<r>", f"<r{MANY}>", 1).encode(), None),
    ],
)
def test_a_large_document_is_read(text: bytes, encoding: str | None) -> None:
    """A document of any encoding may be large; so may its comments and its root element."""
    assert len(parse_xml(text, encoding)) == 10_000


@pytest.mark.parametrize("text", [b"<r>" + b"x" * 20_000, b"\0" * 20_000])
def test_a_large_text_that_is_no_document(text: bytes) -> None:
    """It is refused like a small one."""
    with pytest.raises(XmlError, match="is not XML"):
        parse_xml(text)
