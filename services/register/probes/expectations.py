"""The ``expect`` part of a probe definition: what an answer must be (docs/probing.md)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from services.core.model import (
    SOAP_KINDS,
    Expect,
    FreshnessSource,
    HeaderExpectation,
    JsonExpectation,
    Patterns,
    XmlExpectation,
    placeholders,
    value_texts,
)
from services.register.probes.json_schema import check_schema
from services.register.probes.patterns import read_path, read_pattern, read_record_path, read_xpath
from services.register.probes.references import read_json_file
from services.register.reading import YamlMapping, fold, read_choice, read_flag, read_name, read_whole

__all__ = ["read_expect"]

_HTTP = ("status", "headers", "body", "json", "xml", "namespaces", "schema", "record", "fresh", "tls")
_SOAP = ("status", "headers", "body", "xml", "namespaces", "record", "fresh", "tls")
_KEYS: Mapping[str, tuple[str, ...]] = {
    "http": _HTTP,
    "soap": _SOAP,
    "xroad-rest": _HTTP,
    "xroad-soap": _SOAP,
    "grpc": ("json", "schema", "record", "fresh", "tls"),
    "dns": ("rcode", "answers", "authority"),
}
"""What can be expected, by kind; of other kinds nothing that stands here."""

_PREFIX = re.compile(r"[A-Za-z_][\w.-]*", re.ASCII)
_TYPES = ("string", "number", "integer", "boolean", "object", "array", "null")
_RCODES = (
    "NOERROR",
    "FORMERR",
    "SERVFAIL",
    "NXDOMAIN",
    "NOTIMP",
    "REFUSED",
    "YXDOMAIN",
    "YXRRSET",
    "NXRRSET",
    "NOTAUTH",
    "NOTZONE",
)


def read_expect(probe: YamlMapping, kind: str, directory: Path) -> Expect:
    """Read the expectations of one probe definition."""
    block = probe.block("expect", _KEYS.get(kind, ()))
    if block is None:
        return Expect()
    xml = kind in SOAP_KINDS
    namespaces = _namespaces(block)

    def xpath(text: str) -> str:
        return read_xpath(text, namespaces)

    return Expect(
        status=tuple(
            block.findings.attempt(scalar.place, "status", _read_status, scalar.text, 200)
            for scalar in block.scalars("status")
        ),
        headers=_headers(block),
        body=_patterns_of(block, "body"),
        json=tuple(_json(check) for check in block.blocks("json", ("path", "equals", "type"))),
        xml=tuple(_xml(check, xpath) for check in block.blocks("xml", ("path", "equals"))),
        namespaces=namespaces,
        schema=_schema(block, directory),
        record=_xml_record(block, xpath) if xml else _record(block, read_record_path),
        fresh=_fresh(block, ("xpath", "header") if xml else ("path", "xpath", "header"), xpath),
        tls=block.read("tls", read_flag, False),
        rcode=tuple(
            block.findings.attempt(scalar.place, "rcode", _read_rcode, scalar.text, "NOERROR")
            for scalar in block.scalars("rcode")
        ),
        answers=_patterns_of(block, "answers"),
        authority=_patterns_of(block, "authority"),
    )


def _read_status(text: str) -> int:
    if not 100 <= (status := read_whole(text)) <= 599:
        raise ValueError(f"`{text}` is not an HTTP status")
    return status


def _read_rcode(text: str) -> str:
    if (code := fold(text).upper()) not in _RCODES:
        raise ValueError(f"`{text}` is not a DNS response code: one of {', '.join(_RCODES)}")
    return code


def _headers(block: YamlMapping) -> dict[str, HeaderExpectation]:
    """Read header expectations: a pattern, or a mapping of ``must``, ``must_not`` and ``optional``."""
    given = block.block("headers", None)
    headers: dict[str, HeaderExpectation] = {}
    for name in given.nodes if given else ():
        assert given is not None
        if not given.is_block(name):
            headers[name] = HeaderExpectation(must=given.need(name, read_pattern, ""))
            continue
        item = given.block(name, ("must", "must_not", "optional"))
        if item is not None:
            headers[name] = HeaderExpectation(
                must=item.read("must", read_pattern, ""),
                must_not=item.read("must_not", read_pattern, ""),
                optional=item.read("optional", read_flag, False),
            )
    return headers


def _patterns_of(block: YamlMapping, key: str) -> Patterns:
    given = block.block(key, ("must", "must_not"))
    return Patterns(must=_patterns(given, "must"), must_not=_patterns(given, "must_not")) if given else Patterns()


def _patterns(block: YamlMapping, key: str) -> tuple[str, ...]:
    return tuple(
        block.findings.attempt(scalar.place, key, read_pattern, scalar.text, "") for scalar in block.scalars(key)
    )


def _json(block: YamlMapping) -> JsonExpectation:
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


def _xml(block: YamlMapping, xpath: Callable[[str], str]) -> XmlExpectation:
    scalar = block.scalar("equals")
    if scalar is not None:
        block.findings.attempt(scalar.place, "equals", placeholders, scalar.text, None)
    return XmlExpectation(path=block.need("path", xpath, "/*"), equals=None if scalar is None else scalar.text)


def _namespaces(block: YamlMapping) -> dict[str, str]:
    given = block.block("namespaces", None)
    namespaces: dict[str, str] = {}
    for prefix in given.nodes if given else ():
        assert given is not None
        uri = given.need(prefix, read_name, "")
        if not _PREFIX.fullmatch(prefix):
            given.findings.add(given.key_at(prefix), f"`{prefix}` is not a prefix of XPath")
        elif uri:
            namespaces[prefix] = uri
    return namespaces


def _schema(block: YamlMapping, directory: Path) -> object:
    """Read a JSON Schema: a mapping, or ``file:PATH`` of one."""
    if "schema" not in block:
        return None
    scalar = block.scalar("schema") if not block.is_block("schema") else None
    try:
        return check_schema(read_json_file(scalar.text, directory) if scalar else block.value("schema"))
    except ValueError as error:
        block.fault("schema", str(error))
        return None


def _record(block: YamlMapping, read: Callable[[str], str]) -> dict[str, object]:
    given = block.block("record", None)
    record: dict[str, object] = {}
    for path in given.nodes if given else ():
        assert given is not None
        given.findings.attempt(given.key_at(path), "record", read, path, "")
        record[path] = given.value(path)
        _check_texts(given, path, record[path])
    return record


def _xml_record(block: YamlMapping, xpath: Callable[[str], str]) -> dict[str, object]:
    """Read a test record of XML, where every value is a text."""
    record = _record(block, xpath)
    for path, value in record.items():
        if not isinstance(value, str | bool | int | float):
            block.fault("record", f"`{path}` must be a text, a number, true or false: what it is compared with is text")
    return record


def _check_texts(block: YamlMapping, key: str, value: object) -> None:
    for text in value_texts(value):
        block.findings.attempt(block.at(key), key, placeholders, text, None)


def _fresh(block: YamlMapping, keys: tuple[str, ...], xpath: Callable[[str], str]) -> FreshnessSource | None:
    given = block.block("fresh", keys)
    if given is None:
        return None
    if sum(key in given for key in keys) != 1:
        block.fault("fresh", f"needs one of {', '.join(f'`{key}`' for key in keys)}")
        return None
    return FreshnessSource(
        path=given.need("path", read_path, "$") if "path" in given else "",
        xpath=given.need("xpath", xpath, "/*") if "xpath" in given else "",
        header=given.need("header", read_name, "") if "header" in given else "",
    )
