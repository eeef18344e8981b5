"""A capture extracts a value from an answer, or refuses it."""

from __future__ import annotations

import pytest

from services.core.model.probe import Capture
from services.prober.checks.captures import CaptureError, compile_capture
from services.prober.observation import Observation


def value(capture: Capture, body: bytes = b"", *headers: tuple[str, str]) -> object:
    """Return what a capture extracts from an answer with this body and these headers."""
    return compile_capture("x", capture, {"c": "urn:civil"}).value(Observation(0.0, 0.1, headers=headers, body=body))


@pytest.mark.parametrize(
    ("capture", "body", "expected"),
    [
        (Capture(json="$.a[*]"), b'{"a": ["first", "second"]}', "first"),
        (Capture(json="$.a"), b'{"a": 1.5}', 1.5),
        (Capture(json="$.a"), b'{"a": false}', False),
        (Capture(json="$.a"), '{"a": "می\u200cشود"}'.encode(), "می\u200cشود"),
        (Capture(xpath="//b"), b"<a><b> x <i>y</i></b><b>z</b></a>", "x y"),
        (Capture(xpath="/a/@id"), b"<a id='7'/>", "7"),
        (Capture(xpath="//c:id"), b"<a xmlns:x='urn:civil'><id>1</id><x:id>2</x:id></a>", "2"),
        (Capture(xpath="count(//b)"), b"<a><b/><b/></a>", "2"),
        (Capture(pattern="id=([0-9]+)-([0-9]+)"), b"id=1-2", "1"),
        (Capture(json="$.a", encode="url"), '{"a": "a+b/c=é"}'.encode(), "a%2Bb%2Fc%3D%C3%A9"),
        (Capture(json="$.a", encode="json"), b'{"a": "say \\"x\\\\y\\""}', 'say \\"x\\\\y\\"'),
        (Capture(json="$.a", encode="xml"), b'{"a": "<b>&\\""}', "&lt;b&gt;&amp;&quot;"),
        (Capture(json="$.a", encode="url"), b'{"a": 17}', "17"),
    ],
)
def test_what_is_taken(capture: Capture, body: bytes, expected: object) -> None:
    """The first value is extracted, stripped, with its type, and encoded as the capture requires."""
    found = value(capture, body)
    assert (found, type(found)) == (expected, type(expected))


def test_headers_are_found_in_any_case() -> None:
    """A header is found by its name in any case. Of several, the first is extracted."""
    assert value(Capture(header="X-Id"), b"", ("x-other", "0"), ("x-id", " 1 "), ("x-id", "2")) == "1"


@pytest.mark.parametrize(
    ("capture", "body", "why"),
    [
        (Capture(json="$.a"), b'{"a": ""}', "nothing was found"),
        (Capture(json="$.a"), b"<a/>", "the body is not JSON"),
        (Capture(json="$..a"), b"[" * 500 + b"]" * 500, "the search failed: JSONPathRecursionError"),
        (Capture(json="$.a"), b'{"a": {}}', "neither text, number nor flag"),
        (Capture(json="$.a"), b'{"a": "x\\r\\nX-Evil: 1"}', "holds a control character"),
        (Capture(json="$.a"), '{"a": "x\u2028y"}'.encode(), "holds a control character"),
        (Capture(json="$.a"), b'{"a": "' + b"x" * 65_537 + b'"}', "longer than 65536 characters"),
        (Capture(xpath="//b"), b"{}", "the body is not XML"),
        (Capture(xpath="//b"), b'<!DOCTYPE a [<!ENTITY e SYSTEM "file:///etc/passwd">]><a><b>&e;</b></a>', "entities"),
        (Capture(pattern="(.+)"), b"\xff\xfe", "nothing was found"),
        (Capture(pattern="(\\C)"), b"\xff", "is not UTF-8"),
    ],
)
def test_what_is_refused(capture: Capture, body: bytes, why: str) -> None:
    """Absent values, non-scalars, and values that could end a header early are refused. The error omits the value."""
    with pytest.raises(CaptureError, match=why) as refused:
        value(capture, body)
    assert "Evil" not in str(refused.value)


def test_30_a_finder_shows_nothing() -> None:
    """Neither the repr of a capture nor its error contains the captured value."""
    finder = compile_capture("token", Capture(json="$.a"), {})
    finder.value(Observation(0.0, 0.1, body=b'{"a": "s3cr3t"}'))
    assert "s3cr3t" not in repr(finder)
