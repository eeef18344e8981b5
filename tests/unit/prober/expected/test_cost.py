"""Answers up to a size that depends on the expectations are judged at once, in the loop."""

from __future__ import annotations

import pickle

import pytest

from services.core.model.probe import Capture, Expect, FreshnessSource, JsonExpectation, Probe, XmlExpectation
from services.prober.checks.captures import compile_capture
from services.prober.expected.compiler import compile_expectations
from services.prober.expected.paths import of_json_path, of_xpath
from services.prober.observation import Observation


@pytest.mark.parametrize(
    ("path", "size"),
    [
        ("/paper/number", 16_384),
        ("//c:status[@current='true']", 16_384),
        ("/s:Envelope/s:Body//c:id", 16_384),
        ("//a[@href='http://tax.example/../x']", 16_384),
        ("count(/r/a)", 16_384),
        ("//a[not(@b = preceding::a/@b)]", 256),
        ("//a/following-sibling::b", 256),
        ("/r/a[@b = ../a/@b]", 256),
        ("/r/a[/r/b = .]", 256),
        ("//a[. = //b[. = //c]]", 4),
    ],
)
def test_xpaths_by_how_often_they_start_over(path: str, size: int) -> None:
    """An XPath that visits each node once may read more bytes than one that visits all others from each node."""
    assert of_xpath(path) == size


@pytest.mark.parametrize(
    ("path", "size"),
    [
        ("$.items[*].id", 16_384),
        ("$..id", 16_384),
        ("$.items[?@.id == 7]", 16_384),
        ("$['a..b'][*]", 16_384),
        ("$..items..id", 256),
        ("$.items[?@.id == $.wanted]", 256),
        ("$..a[?count($..*) > 1]", 0),
        ("$.items[?match(@.id, '(a*)*b')]", 0),
    ],
)
def test_json_paths_by_how_often_they_start_over(path: str, size: int) -> None:
    """As with XPaths. A JSONPath with a pattern, which may backtrack, never runs in the loop."""
    assert of_json_path(path) == size


def test_the_dearest_expectation_decides() -> None:
    """A path straight to one value sets no limit. Of several limits the smallest holds."""

    def at_once(expect: Expect) -> int | None:
        return compile_expectations(Probe("p", "http", expect=expect), {}, latency=None, max_age=None).at_once

    straight = JsonExpectation("$.a[0].b")
    assert at_once(Expect(json=(straight,), record={"a.b": "1"}, fresh=FreshnessSource(path="$.at"))) is None
    assert at_once(Expect(json=(straight,), schema={"type": "object"})) == 4_096
    assert at_once(Expect(json=(straight, JsonExpectation("$..a..b")), schema=True)) == 256
    assert at_once(Expect(fresh=FreshnessSource(xpath="//at"))) == 16_384
    assert at_once(Expect()) is None


def test_expectations_and_captures_go_to_another_process() -> None:
    """Expectations and captures work the same after pickling."""
    expect = Expect(
        namespaces={"c": "urn:c"},
        xml=(XmlExpectation("//c:a", "1"),),
        json=(JsonExpectation("$..a"),),
        record={"b": None},
        schema={"type": "array"},
        fresh=FreshnessSource(xpath="//c:at"),
    )
    made = compile_expectations(Probe("p", "http", expect=expect), {}, latency=1.0, max_age=2.0)
    there = pickle.loads(pickle.dumps(made))
    assert there == made
    finder = compile_capture("x", Capture(xpath="//c:a", encode="url"), {"c": "urn:c"})
    seen = Observation(0.0, 0.1, body=b'<a xmlns="urn:c">/</a>')
    assert pickle.loads(pickle.dumps(finder)).value(seen) == "%2F"
