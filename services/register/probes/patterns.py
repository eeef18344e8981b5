"""Patterns and paths in expectations, compiled as they will be run: RE2, JSONPath, XPath."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

import re2
from jsonpath_rfc9535 import JSONPathError
from jsonpath_rfc9535 import compile as compile_path
from lxml import etree

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
