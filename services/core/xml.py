"""XML from untrusted sources, read without loading anything else. Pure.

Entities are not resolved and DTDs not loaded. Whatever its options, libxml2 still follows external references within a DTD
(parameter entities, external subsets), so a resolver answers each of them with an empty text.
"""

from __future__ import annotations

from typing import Any

from lxml import etree


class XmlError(ValueError):
    """A document is not XML that we accept. The message is a predicate ("is not XML") and quotes nothing of the document."""


class _EmptyResolver(etree.Resolver):
    def resolve(self, _url: str, _public_id: str, context: Any) -> Any:  # type: ignore[override]  # its stubs lack one
        resolve_string: Any = self.resolve_string
        return resolve_string("", context)


_RESOLVER = _EmptyResolver()


def parse_xml(text: bytes, encoding: str | None = None) -> etree._Element:
    """Return the root element of an XML document. Raises XmlError, also when it declares entities.

    ``encoding`` takes precedence over the document's own declaration; an unknown one is ignored. Depth, text lengths and
    the expansion of entities have libxml2's limits.
    """
    try:
        root = etree.fromstring(text, _parser(encoding))
    except LookupError:
        return parse_xml(text)
    except (etree.XMLSyntaxError, ValueError) as error:
        place = " (line {}, column {})".format(*error.position) if isinstance(error, etree.XMLSyntaxError) else ""
        raise XmlError(f"is not XML{place}") from error
    info: Any = root.getroottree().docinfo
    if info.internalDTD is not None and next(info.internalDTD.iterentities(), None) is not None:
        raise XmlError("declares entities, which are not read")
    return root


def _parser(encoding: str | None) -> etree.XMLParser:
    parser = etree.XMLParser(
        encoding=encoding, resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, collect_ids=False
    )
    parser.resolvers.add(_RESOLVER)
    return parser
