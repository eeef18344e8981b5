"""Patterns, paths and schemas in expectations, tried as they will be run: RE2, JSONPath, XPath, JSON Schema."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import re2
from jsonpath_rfc9535 import JSONPathError
from jsonpath_rfc9535 import compile as compile_path
from jsonschema import Draft202012Validator, SchemaError
from lxml import etree

__all__ = ["check_schema", "read_path", "read_pattern", "read_record_path", "read_xpath"]

_QUIET = re2.Options()
_QUIET.log_errors = False


def read_pattern(text: str) -> str:
    """Read an RE2 pattern."""
    try:
        re2.compile(text, _QUIET)
    except re2.error as error:
        why = error.args[0]
        raise ValueError(f"`{text}` is not RE2: {why.decode() if isinstance(why, bytes) else why}") from None
    return text


def read_path(text: str) -> str:
    """Read a JSONPath (RFC 9535)."""
    try:
        compile_path(text)
    except (JSONPathError, RecursionError) as error:
        raise ValueError(f"`{text}` is not JSONPath: {str(error).partition(', line')[0]}") from None
    return text


def read_xpath(text: str, namespaces: Mapping[str, str]) -> str:
    """Read an XPath 1.0 whose prefixes are among ``namespaces``."""
    try:
        etree.XPath(text, namespaces=dict(namespaces))(etree.Element("none"))
    except etree.XPathError as error:
        raise ValueError(f"`{text}` is not XPath: {str(error).lower()}") from None
    return text


def check_schema(schema: object) -> object:
    """Return the JSON Schema (draft 2020-12). ValueError when it is none, or refers to another document."""
    try:
        Draft202012Validator.check_schema(schema)  # type: ignore[arg-type]  # it says itself what is no schema
    except SchemaError as error:
        raise ValueError(f"is not JSON Schema: {error.message} at {error.json_path}") from None
    elsewhere = next((target for target in _targets(schema) if not target.startswith("#")), None)
    if elsewhere is not None:
        raise ValueError(f"refers to `{elsewhere}`, another document: put it under `$defs`")
    return schema


def _targets(schema: object) -> Iterator[str]:
    if isinstance(schema, Mapping):
        for key, value in schema.items():
            if key in {"$ref", "$dynamicRef"} and isinstance(value, str):
                yield value
            yield from _targets(value)
    elif isinstance(schema, list):
        for item in schema:
            yield from _targets(item)


def read_record_path(text: str) -> str:
    """Read a field of a test record: a JSONPath, or a dotted path that means the same without the ``$.``."""
    read_path(text if text.startswith("$") else f"$.{text}")
    return text
