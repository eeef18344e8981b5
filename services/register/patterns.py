"""Patterns and paths in expectations, tried as they will be run: RE2, JSONPath, XPath."""

from __future__ import annotations

from collections.abc import Mapping

import re2
from jsonpath_rfc9535 import JSONPathError
from jsonpath_rfc9535 import compile as compile_path
from lxml import etree

__all__ = ["read_path", "read_pattern", "read_record_path", "read_xpath"]

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
        etree.XPath(text, namespaces=dict(namespaces), regexp=False)(etree.Element("none"))
    except etree.XPathError as error:
        raise ValueError(f"`{text}` is not XPath: {str(error).lower()}") from None
    return text


def read_record_path(text: str) -> str:
    """Read a field of a test record: a JSONPath, or a dotted path that means the same without the ``$.``."""
    read_path(text if text.startswith("$") else f"$.{text}")
    return text
