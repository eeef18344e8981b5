"""Parses the body of an answer as JSON or XML, once, when it is first needed; defines the error of all checks. Pure."""

from __future__ import annotations

import json
import re
from codecs import BOM_UTF8
from contextlib import suppress
from typing import Any, Final

import orjson
from lxml import etree

from services.core.model import Reason
from services.core.xml import XmlError, parse_xml
from services.prober.observation import Observation


class CheckFailedError(Exception):
    """The first thing wrong with an answer; ``detail`` holds neither secrets nor values of the answer."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


_CHARSET: Final = re.compile(r';\s*charset\s*=\s*"?([A-Za-z0-9._:-]{1,40})', re.ASCII)
_LARGE_INTEGER: Final = re.compile(rb"[0-9]{19}")
_MARKS: Final = (BOM_UTF8, b"\xff\xfe", b"\xfe\xff")


class Document:
    """One body. The encoding in its header ``content_type`` takes precedence over that in the XML itself."""

    def __init__(self, body: bytes, content_type: str = "") -> None:
        self._body = body
        self._content_type = content_type
        self._value: Any = None
        self._read = False
        self._root: etree._Element | None = None

    @property
    def value(self) -> Any:
        """The body as a JSON value. Raises CheckFailedError when it is not JSON."""
        if not self._read:
            try:
                self._value = _read_json(self._body.removeprefix(BOM_UTF8))  # RFC 8259 §8.1 allows it
            except orjson.JSONDecodeError as error:
                raise CheckFailedError(Reason.JSON, "the body is not JSON") from error
            self._read = True
        return self._value

    @property
    def root(self) -> etree._Element:
        """The root element of the body as XML. Raises CheckFailedError when it is not XML."""
        if self._root is None:
            charset = _CHARSET.search(self._content_type)
            # RFC 7303 §3: a byte order mark goes first, then the header, then the XML declaration.
            encoding = charset[1] if charset and not self._body.startswith(_MARKS) else None
            try:
                self._root = parse_xml(self._body, encoding)
            except XmlError as error:
                raise CheckFailedError(Reason.XML, f"the body {error}") from error
        return self._root


def _read_json(body: bytes) -> Any:
    """Return the JSON value, with every integer exact. Raises orjson.JSONDecodeError."""
    value = orjson.loads(body)
    if _LARGE_INTEGER.search(body) is not None:  # orjson reads these as doubles
        with suppress(ValueError, RecursionError):  # too many digits for int(), or nested too deep for json
            return json.loads(body)
    return value


def document_of(observation: Observation) -> Document:
    """Return the body of an answer as a document that is not parsed yet."""
    content_type = next((value for name, value in observation.headers if name == "content-type"), "")
    return Document(observation.body, content_type)
