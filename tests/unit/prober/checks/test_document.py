"""XML answers are checked by XPath, and nothing outside the body is read."""

from __future__ import annotations

from pathlib import Path

import pytest
from lxml import etree

from services.core.model.outcome import Reason
from services.core.model.probe import Expect, Probe, XmlExpectation
from services.core.xml import XmlError, parse_xml
from services.prober.checks import Judgement
from services.prober.checks.document import Document
from services.prober.checks.judgement import judge
from services.prober.expected.compiler import compile_expectations
from services.prober.observation import Observation

BODY = """\
<r xmlns:p="urn:p" a="۷" ok="true">
  <p:name> علي </p:name>
  <n>3</n><n>4.50</n>
  <mixed>one<!-- not this --> two <b>three</b></mixed>
  <!-- remark --><?note careful?>
  <empty/>
</r>"""


def judged(
    body: bytes, *checks: XmlExpectation, kind: str = "http", content_type: str = "", **params: object
) -> Judgement:
    expect = Expect(xml=checks, namespaces={"q": "urn:p"})
    observation = Observation(
        time=1000.0, duration=0.2, latency=0.1, status=200, body=body, headers=(("content-type", content_type),)
    )
    definition = Probe("test", kind, expect=expect)
    return judge(observation, compile_expectations(definition, params, latency=None, max_age=None))


@pytest.mark.parametrize(
    ("path", "equals"),
    [
        ("//q:name", "علی"),
        ("/r/@a", "7"),
        ("//n", "3"),
        ("//n", "4.50"),
        ("//n/text()", "4.50"),
        ("count(//n)", "2"),
        ("sum(//n)", "7.5"),
        ("1 div 0", "Infinity"),
        ("number('x')", "NaN"),
        ("//n = 3", "true"),
        ("//n = 5", "false"),
        ("string(//q:name)", "علی"),
        ("normalize-space(//mixed)", "one two three"),
        ("//mixed", "one two three"),
        ("//comment()", "remark"),
        ("//processing-instruction()", "careful"),
        ("//empty", ""),
        ("/r/namespace::p", "urn:p"),
        ("//n[2]", "${sum}"),
    ],
)
def test_texts_that_are_equal(path: str, equals: str) -> None:
    """Content, attributes, texts, numbers and flags are compared as XPath writes them, folded and stripped."""
    assert judged(BODY.encode(), XmlExpectation(path, equals), sum="4.50").reason is Reason.OK


@pytest.mark.parametrize(
    ("path", "equals"),
    [("//q:name", "رضا"), ("/r/@a", "70"), ("count(//n)", "2.0"), ("//n = 3", "1"), ("//mixed", "one"), ("//n", "")],
)
def test_texts_that_differ(path: str, equals: str) -> None:
    """Another text fails with reason XML. The detail names the path and no value."""
    judgement = judged(BODY.encode(), XmlExpectation(path, equals))
    assert (judgement.reason, judgement.detail) == (Reason.XML, f"{path} differs from what is expected")


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("//n", True),
        ("//empty", True),
        ("/r/@ok", True),
        ("count(//n)", True),
        ("//n = 3", True),
        ("string(//q:name)", True),
        ("//none", False),
        ("//name", False),
        ("/r/@b", False),
        ("count(//none)", False),
        ("number('x')", False),
        ("//n = 5", False),
        ("string(//none)", False),
    ],
)
def test_what_is_found(path: str, found: bool) -> None:
    """Without an expected text, the result must be true for XPath's boolean(). Prefixes are the definition's."""
    judgement = judged(BODY.encode(), XmlExpectation(path))
    assert (judgement.reason, judgement.detail) == ((Reason.OK, "") if found else (Reason.XML, f"{path} finds nothing"))


def test_an_absent_node_equals_nothing() -> None:
    """An absent node is not an empty text."""
    assert judged(BODY.encode(), XmlExpectation("//none", "")).detail == "//none finds nothing"


@pytest.mark.parametrize("body", [b"", b"{}", b"<r>", b"<r/><r/>", b"<r>&nbsp;</r>", b"\x00", b"<r>" * 5000])
def test_what_is_not_xml(body: bytes) -> None:
    """A body that is not one whole XML document is INVALID/XML."""
    judgement = judged(body, XmlExpectation("/*"))
    assert judgement.reason is Reason.XML
    assert judgement.detail.startswith("the body is not XML (line ")


def test_what_nobody_asks_for_is_not_read() -> None:
    """A body that is not XML passes if no check reads it as XML."""
    assert judged(b"not XML").reason is Reason.OK


def test_a_check_that_breaks_is_not_a_pass() -> None:
    """An XPath that fails on some answers only is INVALID/CHECK_ERROR for those."""
    assert judged(b"<r/>", XmlExpectation("not(//n[none()])")).reason is Reason.OK
    assert judged(b"<r><n/></r>", XmlExpectation("not(//n[none()])")).reason is Reason.CHECK_ERROR


def _laughs(reference: str) -> bytes:
    entities = "".join(f'<!ENTITY l{i} "{f"&l{i - 1};" * 10}">' for i in range(1, 30))
    return f'<!DOCTYPE r [<!ENTITY l0 "ha">{entities}]>{reference}'.encode()


@pytest.mark.parametrize("reference", ["<r>&l29;</r>", '<r a="&l29;"/>', "<r/>"])
def test_entities_are_refused(reference: str) -> None:
    """A body whose entities would grow beyond any memory is INVALID/XML at once."""
    assert judged(_laughs(reference), XmlExpectation("/r")).reason is Reason.XML


@pytest.mark.parametrize(
    "document",
    [
        '<!DOCTYPE r [<!ENTITY x SYSTEM "{0}">]><r>&x;</r>',
        '<!DOCTYPE r [<!ENTITY % x SYSTEM "{0}">%x;]><r>1</r>',
        '<!DOCTYPE r [<!ENTITY % x PUBLIC "x" "{0}">%x;]><r>&y;</r>',
        '<!DOCTYPE r SYSTEM "{0}"><r>&y;</r>',
        '<!DOCTYPE r SYSTEM "{0}"><r y="1"/>',
        '<r xmlns:i="http://www.w3.org/2001/XInclude"><i:include href="{0}" parse="text"/></r>',
    ],
)
def test_nothing_else_is_read(tmp_path: Path, document: str) -> None:
    """A body is parsed the same whether its reference is a DTD, is nonsense, or does not exist."""
    declares, nonsense, missing = (tmp_path / name for name in ("declares", "nonsense", "missing"))
    declares.write_text('<!ENTITY y "a secret"><!ATTLIST r z CDATA "a secret">')
    nonsense.write_text("no DTD at all")

    def seen(path: Path) -> str:
        try:
            return etree.tostring(parse_xml(document.format(path.as_uri()).encode())).decode().replace(path.name, "")
        except XmlError as error:
            return str(error)

    assert seen(declares) == seen(nonsense) == seen(missing)
    assert "a secret" not in seen(declares)


def test_a_doctype_alone_is_fine() -> None:
    """XHTML that names a DTD on the web is parsed without it."""
    body = (
        b'<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Strict//EN" "http://www.w3.org/TR/xhtml1/DTD/xhtml1-strict.dtd">'
        b'<html xmlns="urn:p"><p>hello</p></html>'
    )
    assert judged(body, XmlExpectation("//q:p", "hello")).reason is Reason.OK


@pytest.mark.parametrize(
    ("text", "written_as", "content_type"),
    [
        ("<r>سلام</r>", "utf-8", "text/xml"),
        ("<r>سلام</r>", "windows-1256", "text/xml; charset=windows-1256"),
        ("<r>سلام</r>", "windows-1256", 'text/xml; charset="Windows-1256"; x=y'),
        ('<?xml version="1.0" encoding="windows-1256"?><r>سلام</r>', "windows-1256", "text/xml"),
        ('<?xml version="1.0" encoding="utf-8"?><r>سلام</r>', "windows-1256", "text/xml; charset=windows-1256"),
        ("<r>سلام</r>", "utf-8", "text/xml; charset=no-such-thing"),
        ("\ufeff<r>سلام</r>", "utf-8", "text/xml; charset=windows-1256"),
        ("<r>سلام</r>", "utf-16", "text/xml; charset=utf-8"),
    ],
)
def test_encodings(text: str, written_as: str, content_type: str) -> None:
    """A byte order mark precedes the header, which precedes the XML declaration. Unknown encodings are ignored."""
    body = text.encode(written_as)
    assert judged(body, XmlExpectation("/r", "سلام"), content_type=content_type).reason is Reason.OK


def test_a_body_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A body is parsed once, however many checks read it as XML or JSON."""
    read = []

    def counted(*given):
        read.append(given)
        return etree.Element("r")

    monkeypatch.setattr("services.prober.checks.document.parse_xml", counted)
    document = Document(b"<r/>")
    assert read == []
    assert document.root is document.root
    assert len(read) == 1
    values = Document(b'{"a": []}')
    assert values.value is values.value
