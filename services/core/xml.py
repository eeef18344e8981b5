"""XML from anyone: read without reading anything else. Pure.

Entities are not resolved and DTDs not loaded. libxml2 still follows references to the outside from within a DTD
(parameter entities, external subsets), whatever its options say, so every such reference is answered with nothing.
"""

from __future__ import annotations

from typing import Any

from lxml import etree

__all__ = ["XmlError", "parse_xml"]


class XmlError(ValueError):
    """What was read is not XML that we take; the message goes on from its name and holds nothing of it."""


class _Nothing(etree.Resolver):
    def resolve(self, _url: str, _public_id: str, context: Any) -> Any:  # type: ignore[override]  # its stubs lack one
        give: Any = self.resolve_string
        return give("", context)


_NOTHING = _Nothing()


def parse_xml(text: bytes, encoding: str | None = None) -> etree._Element:
    """Return the root element of an XML document. Raises MarkupError, for one that declares entities as well.

    ``encoding`` goes before what the document says of itself; one that is not known is passed over. Depth, text lengths
    and the growth of entities are bounded as libxml2 bounds them.
    """
    try:
        root = etree.fromstring(text, _parser(encoding))
    except LookupError:
        return parse_xml(text)
    except (etree.XMLSyntaxError, ValueError) as error:
        at = " (line {}, column {})".format(*error.position) if isinstance(error, etree.XMLSyntaxError) else ""
        raise XmlError(f"is not XML{at}") from error
    inner: Any = root.getroottree().docinfo
    if inner.internalDTD is not None and next(inner.internalDTD.iterentities(), None) is not None:
        raise XmlError("declares entities, which are not read")
    return root


def _parser(encoding: str | None) -> etree.XMLParser:
    parser = etree.XMLParser(
        encoding=encoding, resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, collect_ids=False
    )
    parser.resolvers.add(_NOTHING)
    return parser
