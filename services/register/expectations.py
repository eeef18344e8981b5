"""The ``expect`` part of a probe definition: what an answer must be (PROBING.md)."""

from __future__ import annotations

from services.core.model import Body, Expect, Fresh, JsonExpectation
from services.register.document import Block
from services.register.patterns import read_path, read_pattern, read_record_path
from services.register.template import names, value_texts
from services.register.text import read_choice, read_name, read_whole

__all__ = ["read_expect"]

_KEYS = ("status", "headers", "body", "json", "record", "fresh")
_TYPES = ("string", "number", "integer", "boolean", "object", "array", "null")


def read_expect(probe: Block) -> Expect:
    """Read the expectations of one probe definition."""
    block = probe.block("expect", _KEYS)
    if block is None:
        return Expect()
    return Expect(
        status=tuple(
            block.findings.attempt(scalar.place, "status", _read_status, scalar.text, 200)
            for scalar in block.scalars("status")
        ),
        headers=_headers(block),
        body=_body(block),
        json=tuple(_json(check) for check in block.blocks("json", ("path", "equals", "type"))),
        record=_record(block),
        fresh=_fresh(block),
    )


def _read_status(text: str) -> int:
    if not 100 <= (status := read_whole(text)) <= 599:
        raise ValueError(f"`{text}` is not an HTTP status")
    return status


def _headers(block: Block) -> dict[str, str]:
    given = block.block("headers", None)
    return {name: given.need(name, read_pattern, "") for name in given.nodes} if given else {}


def _body(block: Block) -> Body:
    given = block.block("body", ("must", "must_not"))
    return Body(must=_patterns(given, "must"), must_not=_patterns(given, "must_not")) if given else Body()


def _patterns(block: Block, key: str) -> tuple[str, ...]:
    return tuple(
        block.findings.attempt(scalar.place, key, read_pattern, scalar.text, "") for scalar in block.scalars(key)
    )


def _json(block: Block) -> JsonExpectation:
    equals = block.value("equals")
    if "equals" in block and equals is None:
        block.fault("equals", "null cannot be compared: write `type: null`")
    _check_texts(block, "equals", equals)
    kind = block.scalar("type")  # `null` is a type here, so Block.read, which takes it for nothing, will not do
    return JsonExpectation(
        path=block.need("path", read_path, "$"),
        equals=equals,
        type=block.findings.attempt(kind.place, "type", _read_type, kind.text, "") if kind else "",
    )


def _read_type(text: str) -> str:
    return read_choice(text, *_TYPES)


def _record(block: Block) -> dict[str, object]:
    given = block.block("record", None)
    record: dict[str, object] = {}
    for path in given.nodes if given else ():
        assert given is not None
        given.findings.attempt(given.key_at(path), "record", read_record_path, path, "")
        record[path] = given.value(path)
        _check_texts(given, path, record[path])
    return record


def _check_texts(block: Block, key: str, value: object) -> None:
    for text in value_texts(value):
        block.findings.attempt(block.at(key), key, names, text, None)


def _fresh(block: Block) -> Fresh | None:
    given = block.block("fresh", ("path", "header"))
    if given is None:
        return None
    if ("path" in given) == ("header" in given):
        block.fault("fresh", "needs either `path` or `header`")
        return None
    if "path" in given:
        return Fresh(path=given.need("path", read_path, "$"))
    return Fresh(header=given.need("header", read_name, ""))
