"""Checks patterns, paths and JSON Schemas (draft 2020-12) of expectations as they will be run. Pure.

The only schemas that are read are those in the expectation.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

import re2
from jsonpath_rfc9535 import JSONPathError
from jsonpath_rfc9535 import compile as compile_path
from jsonschema import Draft202012Validator, SchemaError
from lxml import etree
from referencing import Registry
from referencing.exceptions import Unresolvable
from referencing.jsonschema import DRAFT202012

_DATA = frozenset({"const", "enum", "default", "examples"})

_QUIET = re2.Options()
_QUIET.log_errors = False
_QUOTED: Final = re.compile(r"""'[^']*'|"[^"]*\"""")
_NAME: Final = r"[^\W\d][\w.-]*"
_PREFIX: Final = re.compile(rf"(?<![\w.-])({_NAME}):(?!:)")
_CALLED: Final = re.compile(rf"({_NAME}(?::{_NAME})?)\s*\(")
# Functions (XPath 1.0, 4), node tests and operators.
_CALLABLE: Final = re.compile(
    "boolean|ceiling|concat|contains|count|false|floor|id|lang|last|local-name|name|namespace-uri|normalize-space|not"
    "|number|position|round|starts-with|string|string-length|substring|substring-after|substring-before|sum|translate"
    "|true|comment|node|processing-instruction|text|and|div|mod|or"
)


def check_schema(schema: object) -> object:
    """Return the JSON Schema. Raises ValueError when it is not one, or cannot be run."""
    try:
        Draft202012Validator.check_schema(schema)  # type: ignore[arg-type]  # it accepts any value and reports what is no schema
    except SchemaError as error:
        raise ValueError(f"is not JSON Schema: {error.message} at {error.json_path}") from None
    keywords = list(_keywords(schema))
    if {"patternProperties", "unevaluatedProperties"} <= {keyword for keyword, _ in keywords}:
        raise ValueError("holds `unevaluatedProperties` beside `patternProperties`: write `additionalProperties`")
    for keyword, value in keywords:
        if keyword == "pattern" and isinstance(value, str):
            read_pattern(value)
        elif keyword == "patternProperties" and isinstance(value, Mapping):
            for pattern in value:
                read_pattern(pattern)
        elif keyword in {"$ref", "$dynamicRef"} and isinstance(value, str):
            _check_reference(value, schema)
        elif keyword == "$id" and isinstance(value, str):
            raise ValueError("holds `$id`: a schema is known by its place alone")
    return schema


def _check_reference(target: str, schema: object) -> None:
    if not target.startswith("#"):
        raise ValueError(f"refers to `{target}`, another document: put it under `$defs`")
    try:
        Registry().resolver_with_root(DRAFT202012.create_resource(schema)).lookup(target)
    except (Unresolvable, TypeError, ValueError):  # the last two where it leads into a number or a text
        raise ValueError(f"refers to `{target}`, which is not there") from None


def _keywords(schema: object) -> Iterator[tuple[str, object]]:
    """Yield every keyword with its value, at any depth, except within values that are data."""
    if isinstance(schema, Mapping):
        for key, value in schema.items():
            yield key, value
            if key not in _DATA:
                yield from _keywords(value)
    elif isinstance(schema, list):
        for item in schema:
            yield from _keywords(item)


def count_groups(pattern: str) -> int:
    """Return how many groups a pattern has."""
    return int(re2.compile(pattern, _QUIET).groups)


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
    """Read an XPath 1.0 expression whose prefixes are among ``namespaces``."""
    _check_words(text, namespaces)
    _try_xpath(text, text, namespaces)
    for predicate in _predicates(text):
        # In an empty document, only the context node itself can be filtered by a predicate.
        _try_xpath(text, f"self::node()[{predicate}]", namespaces)
    return text


def _check_words(text: str, namespaces: Mapping[str, str]) -> None:
    """Check functions, variables and prefixes: a trial run does not evaluate all of them, for example after `and`."""
    bare = _QUOTED.sub("''", text)
    if "$" in bare:
        raise ValueError(f"`{text}` is not XPath that can be run: it uses a variable")
    for name in _CALLED.findall(bare):
        if not _CALLABLE.fullmatch(name):
            raise ValueError(f"`{text}` is not XPath 1.0: it has no function `{name}`")
    for prefix in _PREFIX.findall(bare):
        if prefix not in namespaces and prefix != "xml":
            raise ValueError(f"`{text}` is not XPath: prefix `{prefix}` is not among `namespaces`")


def _try_xpath(text: str, part: str, namespaces: Mapping[str, str]) -> None:
    try:
        etree.XPath(part, namespaces=dict(namespaces), regexp=False)(etree.Element("none"))
    except etree.XPathError as error:
        raise ValueError(f"`{text}` is not XPath: {str(error).lower()}") from None


def _predicates(text: str) -> Iterator[str]:
    """Yield the texts between brackets, at any depth."""
    opened: list[int] = []
    for match in re.finditer(rf"{_QUOTED.pattern}|[\[\]]", text):
        if match[0] == "[":
            opened.append(match.end())
        elif match[0] == "]":
            yield text[opened.pop() : match.start()]


def read_record_path(text: str) -> str:
    """Read a field of a test record: a JSONPath, or a dotted path that means the same without the ``$.``."""
    read_path(text if text.startswith("$") else f"$.{text}")
    return text
