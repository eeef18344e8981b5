"""Reads the ``expect`` part of a probe definition: what an answer must be (docs/probing.md)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from dns.rcode import Rcode

from services.core.model import (
    SOAP_KINDS,
    Expect,
    FreshnessSource,
    HeaderExpectation,
    JsonExpectation,
    Patterns,
    RecordPatterns,
    XmlExpectation,
    placeholders,
    value_texts,
)
from services.core.texts import fold
from services.register.probes.patterns import check_schema, read_path, read_pattern, read_record_path, read_xpath
from services.register.probes.references import read_json_file
from services.register.reading import (
    YamlMapping,
    is_header_name,
    read_choice,
    read_duration,
    read_flag,
    read_name,
    read_whole,
)

_TLS = ("tls", "certificate")
_HTTP = ("refused", "status", "headers", "body", "json", "xml", "namespaces", "schema", "record", "fresh", *_TLS)
_SOAP = ("refused", "status", "headers", "body", "xml", "namespaces", "record", "fresh", *_TLS)
_KEYS: Mapping[str, tuple[str, ...]] = {
    "http": _HTTP,
    "soap": _SOAP,
    "xroad-rest": _HTTP,
    "xroad-soap": _SOAP,
    "grpc": ("refused", "json", "schema", "record", "fresh", *_TLS),
    "tls": ("certificate",),
    "dns": ("rcode", "authoritative", "answers", "authority", "additional", "certificate"),
}
"""The keys of ``expect`` by kind; other kinds have none."""

_STATUSES = range(100, 600)
_NOTHING = "holds nothing, so that every answer would pass: remove it, or write what is expected"
_PREFIX = re.compile(r"[A-Za-z_][\w.-]*", re.ASCII)
_TYPES = ("string", "number", "integer", "boolean", "object", "array", "null")
_RCODES = tuple(code.name for code in Rcode if code <= Rcode.NOTZONE)


def read_expect(probe: YamlMapping, kind: str) -> Expect:
    """Read the expectations of one probe definition."""
    mapping = probe.mapping("expect", _KEYS.get(kind, ()))
    if mapping is None:
        return Expect()
    _check_held(mapping)
    xml = kind in SOAP_KINDS
    namespaces = _namespaces(mapping)

    def xpath(text: str) -> str:
        return read_xpath(text, namespaces)

    refused = mapping.read("refused", read_flag, False)
    if refused and len(mapping.nodes) > 1:
        mapping.fault("refused", "cannot be given with others: nothing else can be expected of a refusal")
    return Expect(
        refused=refused,
        status=_statuses(mapping),
        headers=_headers(mapping),
        body=_patterns_of(mapping, "body"),
        json=tuple(_json(check) for check in mapping.mappings("json", ("path", "equals", "type"))),
        xml=tuple(_xml(check, xpath) for check in mapping.mappings("xml", ("path", "equals"))),
        namespaces=namespaces,
        schema=_schema(mapping),
        record=_xml_record(mapping, xpath) if xml else _record(mapping, read_record_path),
        fresh=_fresh(mapping, ("xpath", "header") if xml else ("path", "xpath", "header"), xpath),
        tls=mapping.read("tls", read_flag, False),
        certificate_left=_certificate_left(mapping),
        rcode=tuple(mapping.read_list("rcode", _read_rcode, "NOERROR")),
        authoritative=mapping.read("authoritative", read_flag, False),
        answers=_record_patterns(mapping, "answers"),
        authority=_record_patterns(mapping, "authority"),
        additional=_record_patterns(mapping, "additional"),
    )


def _check_held(mapping: YamlMapping) -> None:
    """Check that every key requires something: an expectation that holds nothing passes every answer."""
    for key in mapping.nodes:
        if mapping.is_empty(key):
            mapping.fault(key, _NOTHING)


def _statuses(mapping: YamlMapping) -> tuple[int, ...]:
    """Read a list of statuses and ranges, or a mapping of ``must`` and ``must_not``; return all that are right."""
    if not mapping.is_mapping("status"):
        return tuple(_listed_statuses(mapping, "status"))
    before = len(mapping.faults)
    given = mapping.part("status", ("must", "must_not"))
    right = _listed_statuses(given, "must") if "must" in given else list(_STATUSES)
    wrong = set(_listed_statuses(given, "must_not"))
    statuses = tuple(status for status in right if status not in wrong)
    if not statuses and len(mapping.faults) == before:
        mapping.fault("status", "leaves no status that is right")
    return statuses


def _listed_statuses(mapping: YamlMapping, key: str) -> list[int]:
    return list(dict.fromkeys(status for part in mapping.read_list(key, _read_statuses, range(0)) for status in part))


def _read_statuses(text: str) -> range:
    first, dash, last = text.partition("-")
    start, end = read_whole(first), read_whole(last if dash else first)
    if start not in _STATUSES or end not in _STATUSES or end < start:
        raise ValueError(f"`{text}` is not an HTTP status, nor a range of them such as 200-299")
    return range(start, end + 1)


def _certificate_left(mapping: YamlMapping) -> float:
    given = mapping.mapping("certificate", ("days_left",))
    return 0.0 if given is None else given.need("days_left", read_duration, 0.0)


def _read_rcode(text: str) -> str:
    if (code := fold(text).upper()) not in _RCODES:
        raise ValueError(f"`{text}` is not a DNS response code: one of {', '.join(_RCODES)}")
    return code


def _headers(mapping: YamlMapping) -> dict[str, HeaderExpectation]:
    """Read header expectations: a pattern, or a mapping of ``must``, ``must_not`` and ``optional``."""
    headers: dict[str, HeaderExpectation] = {}
    for name, given in mapping.entries("headers"):
        if not is_header_name(name):
            given.fault(name, f"`{name}` is not a header name")
            continue
        if not given.is_mapping(name):
            headers[name] = HeaderExpectation(must=given.need(name, read_pattern, ""))
            continue
        item = given.part(name, ("must", "must_not", "optional"))
        headers[name] = HeaderExpectation(
            must=item.read("must", read_pattern, ""),
            must_not=item.read("must_not", read_pattern, ""),
            optional=item.read("optional", read_flag, False),
        )
        if headers[name].optional and "must" not in item and "must_not" not in item:
            given.fault(name, "is optional and has no pattern, so that every answer would pass")
    return headers


def _patterns_of(mapping: YamlMapping, key: str) -> Patterns:
    given = mapping.part(key, ("must", "must_not"))
    if given.nodes and all(map(given.is_empty, given.nodes)):
        mapping.fault(key, _NOTHING)
    must, must_not = (tuple(given.read_list(name, read_pattern, "")) for name in ("must", "must_not"))
    return Patterns(must, must_not)


def _record_patterns(mapping: YamlMapping, key: str) -> RecordPatterns:
    given = mapping.part(key, ("must", "must_not", "every", "empty"))
    if given.nodes and all(map(given.is_empty, given.nodes)):
        mapping.fault(key, _NOTHING)
    must, must_not, every = (tuple(given.read_list(name, read_pattern, "")) for name in ("must", "must_not", "every"))
    empty = given.read("empty", read_flag, False)
    if empty and (must or every):
        given.fault("empty", "cannot be given with `must` or `every`: it requires that there is no record")
    return RecordPatterns(must, must_not, every, empty)


def _json(mapping: YamlMapping) -> JsonExpectation:
    equals = mapping.value("equals")
    if "equals" in mapping and equals is None:
        mapping.fault("equals", "null cannot be compared: write `type: null`")
    _check_texts(mapping, "equals", equals)
    kind = mapping.scalar("type")  # not YamlMapping.read, which takes `null`, a type here, for no value
    return JsonExpectation(
        path=mapping.need("path", read_path, "$"),
        equals=equals,
        type=mapping.faults.attempt(kind.location, "type", lambda text: read_choice(text, *_TYPES), kind.text, "")
        if kind
        else "",
    )


def _xml(mapping: YamlMapping, xpath: Callable[[str], str]) -> XmlExpectation:
    scalar = mapping.scalar("equals")
    if scalar is not None:
        mapping.faults.attempt(scalar.location, "equals", placeholders, scalar.text, None)
    return XmlExpectation(path=mapping.need("path", xpath, "/*"), equals=None if scalar is None else scalar.text)


def _namespaces(mapping: YamlMapping) -> dict[str, str]:
    namespaces: dict[str, str] = {}
    for prefix, given in mapping.entries("namespaces"):
        uri = given.need(prefix, read_name, "")
        if not _PREFIX.fullmatch(prefix):
            given.faults.add(given.key_at(prefix), f"`{prefix}` is not a prefix of XPath")
        elif uri:
            namespaces[prefix] = uri
    return namespaces


def _schema(mapping: YamlMapping) -> object:
    """Read a JSON Schema: a mapping, or ``file:PATH`` of one."""
    if "schema" not in mapping:
        return None
    scalar = mapping.scalar("schema") if not mapping.is_mapping("schema") else None
    try:
        return check_schema(read_json_file(scalar.text, mapping.folder) if scalar else mapping.value("schema"))
    except ValueError as error:
        mapping.fault("schema", str(error))
        return None


def _record(mapping: YamlMapping, read: Callable[[str], str]) -> dict[str, object]:
    record: dict[str, object] = {}
    for path, given in mapping.entries("record"):
        given.faults.attempt(given.key_at(path), "record", read, path, "")
        record[path] = given.value(path)
        _check_texts(given, path, record[path])
    return record


def _xml_record(mapping: YamlMapping, xpath: Callable[[str], str]) -> dict[str, object]:
    """Read a test record of XML, whose values are compared with text."""
    record = _record(mapping, xpath)
    for path, value in record.items():
        if not isinstance(value, str | bool | int | float):
            mapping.fault(
                "record", f"`{path}` must be a text, a number, true or false: what it is compared with is text"
            )
    return record


def _check_texts(mapping: YamlMapping, key: str, value: object) -> None:
    for text in value_texts(value):
        mapping.faults.attempt(mapping.at(key), key, placeholders, text, None)


def _fresh(mapping: YamlMapping, keys: tuple[str, ...], xpath: Callable[[str], str]) -> FreshnessSource | None:
    given = mapping.mapping("fresh", keys)
    if given is None:
        return None
    if sum(key in given for key in keys) != 1:
        mapping.fault("fresh", f"needs one of {', '.join(f'`{key}`' for key in keys)}")
        return None
    return FreshnessSource(
        path=given.need("path", read_path, "$") if "path" in given else "",
        xpath=given.need("xpath", xpath, "/*") if "xpath" in given else "",
        header=given.need("header", read_name, "") if "header" in given else "",
    )
