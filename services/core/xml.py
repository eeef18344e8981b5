"""XML from untrusted sources, read without loading anything else. Pure.

Entities are not resolved and DTDs not loaded. Whatever its options, libxml2 still follows external references within a DTD
(parameter entities, external subsets), so a resolver answers each of them with an empty text. It compares each attribute that a
DTD declares with all others of the element, so a large DTD is refused before it is read.
"""

from __future__ import annotations

import re
from typing import Any, Final

from lxml import etree


class XmlError(ValueError):
    """A document is not XML that we accept. The message is a predicate ("is not XML") and quotes nothing of the document."""


class _EmptyResolver(etree.Resolver):
    def resolve(self, _url: str, _public_id: str, context: Any) -> Any:  # type: ignore[override]  # its stubs lack one
        resolve_string: Any = self.resolve_string
        return resolve_string("", context)


_RESOLVER = _EmptyResolver()
# Declarations of so many bytes are read in a millisecond.
_DECLARED_BYTES: Final = 16 * 1024
# The beginning of a document that can only be read as UTF-8.
_UTF8: Final = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*<(?:(?!\?xml\s)[!?\w]|\?xml\s+version\s*=\s*[\"'][0-9.]+[\"']"
    rb"(?:\s+encoding\s*=\s*[\"']utf-8[\"'])?(?:\s+standalone\s*=\s*[\"'][a-z]+[\"'])?\s*\?>)",
    re.IGNORECASE,
)


class _Prolog:
    """Receives the events of a parser, to notice a declaration of the document type and the root element."""

    declared = begun = False

    def doctype(self, *_: object) -> None:
        self.declared = True

    def start(self, *_: object) -> None:
        self.begun = True

    def end(self, *_: object) -> None: ...

    def data(self, *_: object) -> None: ...

    def close(self) -> None: ...


def parse_xml(text: bytes, encoding: str | None = None) -> etree._Element:
    """Return the root element of an XML document. Raises XmlError, also when it declares entities, or anything at length.

    ``encoding`` takes precedence over the document's own declaration; an unknown one is ignored. Depth, text lengths and
    the expansion of entities have libxml2's limits.
    """
    try:
        if len(text) > _DECLARED_BYTES:
            _check_declaration(text, encoding)
        root = etree.fromstring(text, _parser(encoding))
    except LookupError:
        return parse_xml(text)
    except XmlError:
        raise
    except (etree.XMLSyntaxError, ValueError) as error:
        place = " (line {}, column {})".format(*error.position) if isinstance(error, etree.XMLSyntaxError) else ""
        raise XmlError(f"is not XML{place}") from error
    info: Any = root.getroottree().docinfo
    if info.internalDTD is not None and next(info.internalDTD.iterentities(), None) is not None:
        raise XmlError("declares entities, which are not read")
    return root


def _check_declaration(text: bytes, encoding: str | None) -> None:
    """Raise XmlError for a declaration of the document type that is large, up to the end of the root's start tag.

    Raises XMLSyntaxError, and LookupError for an unknown encoding.
    """
    is_utf8 = _UTF8.match(text) is not None if encoding is None else encoding.lower() == "utf-8"
    if is_utf8 and b"<!DOCTYPE" not in text:
        return
    prolog = _Prolog()
    # A parser that is fed in pieces reports a declaration before it reads what is declared, and reads that when it has all.
    parser = _parser(encoding, target=prolog)
    for start in range(0, len(text), _DECLARED_BYTES):
        if prolog.declared:
            raise XmlError(f"has a document type declaration of more than {_DECLARED_BYTES >> 10} KiB")
        parser.feed(text[start : start + _DECLARED_BYTES])
        if prolog.begun:
            return


def _parser(encoding: str | None, target: Any = None) -> etree.XMLParser:
    parser = etree.XMLParser(
        encoding=encoding,
        target=target,
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        collect_ids=False,
    )
    parser.resolvers.add(_RESOLVER)
    return parser
