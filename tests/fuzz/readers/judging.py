"""Judging an answer: its body as JSON and as XML against what a probe expects."""

from __future__ import annotations

from collections.abc import Iterator

from services.core.model import (
    Expect,
    FreshnessSource,
    JsonExpectation,
    Patterns,
    Probe,
    XmlExpectation,
)
from services.prober.checks import explain
from services.prober.checks.judgement import judge
from services.prober.expected import compile_expectations
from services.prober.observation import Observation
from tests.fuzz.reader import Reader

__all__ = ["READERS"]

_SCHEMA = {
    "type": "object",
    "required": ["id"],
    "properties": {"id": {"type": "string", "pattern": "^[0-9]+$"}, "list": {"uniqueItems": True, "maxItems": 5}},
    "patternProperties": {"^x-": {"multipleOf": 0.1}},
}
_JSON = compile_expectations(
    Probe(
        "json",
        "http",
        expect=Expect(
            body=Patterns(must=("id",)),
            json=(JsonExpectation("$.id", equals="1"), JsonExpectation("$..list[?@ > 1]")),
            schema=_SCHEMA,
            record={"$.id": "1"},
            fresh=FreshnessSource(path="$.at"),
        ),
    ),
    {},
    latency=1.0,
    max_age=60.0,
)
_XML = compile_expectations(
    Probe(
        "xml",
        "xroad-soap",
        expect=Expect(xml=(XmlExpectation("//id", "1"),), record={"//id": "1"}, fresh=FreshnessSource(xpath="//at")),
    ),
    {},
    latency=1.0,
    max_age=60.0,
)


def _judge(data: bytes) -> None:
    header, _, body = data.partition(b"\n")
    observation = Observation(
        time=1_800_000_000.0,
        duration=0.2,
        latency=0.1,
        status=200,
        headers=(("content-type", header.decode("latin-1")), ("date", header.decode("latin-1"))),
        body=body,
    )
    for expected in (_JSON, _XML):
        judge(observation, expected)
        explain(observation, expected)


def _answers() -> Iterator[bytes]:
    yield b'application/json\n{"id": "1", "list": [1, 2], "at": 1799999990, "x-a": 0.3}'
    yield b'application/json; charset=utf-16\n{"id": "1", "at": "1404/10/25"}'
    yield (
        b'text/xml; charset=utf-8\n<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body>'
        b"<a><id>1</id><at>2027-01-15T08:00:00Z</at></a></e:Body></e:Envelope>"
    )


READERS = (Reader("answer judged", _judge, _answers),)
