"""Builds requests to a security server, and chooses their spans of time (X-Road PR-OPMON, chapters 2 and 3). Pure.

A server keeps records for days, by the second in which its monitoring daemon received them. It gives the records of a span
that ended at least a minute ago, since younger ones may not be written yet. Times are seconds since 1970.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

from lxml import etree

_SOAP: Final = "http://schemas.xmlsoap.org/soap/envelope/"
_XROAD: Final = "http://x-road.eu/xsd/xroad.xsd"
_IDENTIFIERS: Final = "http://x-road.eu/xsd/identifiers"
_MONITORING: Final = "http://x-road.eu/xsd/op-monitoring.xsd"
_CLIENT: Final = ("xRoadInstance", "memberClass", "memberCode", "subsystemCode")
_LONGEST_PAUSE = 900.0


class StuckAnswerError(ValueError):
    """An answer that names no position to continue from."""


@dataclass(frozen=True, slots=True)
class RecordSpan:
    """The first and the last second, both included, of a request for records."""

    first: int
    last: int

    @property
    def seconds(self) -> int:
        """Number of seconds."""
        return self.last - self.first + 1

    def first_part(self, seconds: int | None) -> RecordSpan:
        """Return the first ``seconds`` seconds of the span; the whole span if None."""
        return self if seconds is None else RecordSpan(self.first, min(self.last, self.first + seconds - 1))


def next_span(position: int | None, now: float, history: float, behind: float) -> RecordSpan | None:
    """Return the span to request next; None if it is too early for one.

    It begins at the position, or without one ``history`` seconds back, and ends ``behind`` seconds before ``now``.
    """
    last = int(now - behind) - 1
    first = int(now - history) if position is None else position
    return RecordSpan(first, last) if first <= last else None


def next_position(span: RecordSpan, next_records_from: int | None) -> int:
    """Return the second to continue from after an answer.

    Raises StuckAnswerError if the server names none after the first.

    A server names this second if it has more than fits in one answer, or if its clock is behind. Otherwise it has given
    everything that was requested.
    """
    if next_records_from is None:
        return span.last + 1
    if next_records_from <= span.first:
        raise StuckAnswerError("its nextRecordsFrom does not move on")
    return min(next_records_from, span.last + 1)


def retry_pause(failures: int, every: float, chance: float) -> float:
    """Return the seconds until the next request: ``every``, doubled with each failure, up to 15 minutes, ± 10 %.

    ``chance`` in [0, 1) decides the jitter, which spreads the requests to many servers.
    """
    return min(every * 2.0 ** min(failures, 30), max(every, _LONGEST_PAUSE)) * (0.9 + 0.2 * chance)


def operational_data(client: str, server: str, span: RecordSpan, message_id: str, provider: str = "") -> bytes:
    """Return the request getSecurityServerOperationalData of ``client`` to ``server`` (INSTANCE/CLASS/CODE/SERVER).

    With ``provider`` it covers the services of that party alone.
    """
    envelope, body = _envelope(client, server, "getSecurityServerOperationalData", message_id)
    criteria = etree.SubElement(body, f"{{{_MONITORING}}}searchCriteria")
    etree.SubElement(criteria, f"{{{_MONITORING}}}recordsFrom").text = str(span.first)
    etree.SubElement(criteria, f"{{{_MONITORING}}}recordsTo").text = str(span.last)
    if provider:
        _party(criteria, f"{{{_MONITORING}}}client", provider)
    return etree.tostring(envelope, encoding="UTF-8", xml_declaration=True)


def health_data(client: str, server: str, message_id: str, provider: str = "") -> bytes:
    """Return the request getSecurityServerHealthData of ``client`` to ``server`` (INSTANCE/CLASS/CODE/SERVER).

    With ``provider`` it covers the services of that party alone.
    """
    envelope, body = _envelope(client, server, "getSecurityServerHealthData", message_id)
    if provider:
        _party(etree.SubElement(body, f"{{{_MONITORING}}}filterCriteria"), f"{{{_MONITORING}}}client", provider)
    return etree.tostring(envelope, encoding="UTF-8", xml_declaration=True)


def _envelope(client: str, server: str, service: str, message_id: str) -> tuple[etree._Element, etree._Element]:
    """Return the envelope, and the element of its body that names the service."""
    prefixes = {"soap": _SOAP, "xroad": _XROAD, "id": _IDENTIFIERS, "om": _MONITORING}
    envelope = etree.Element(f"{{{_SOAP}}}Envelope", nsmap=prefixes)
    header = etree.SubElement(envelope, f"{{{_SOAP}}}Header")
    owner = server.split("/")
    _party(header, f"{{{_XROAD}}}client", client)
    _identifier(header, f"{{{_XROAD}}}service", "SERVICE", (*_CLIENT[:3], "serviceCode"), (*owner[:3], service))
    _identifier(header, f"{{{_XROAD}}}securityServer", "SERVER", (*_CLIENT[:3], "serverCode"), owner)
    etree.SubElement(header, f"{{{_XROAD}}}id").text = message_id
    etree.SubElement(header, f"{{{_XROAD}}}protocolVersion").text = "4.0"
    body = etree.SubElement(envelope, f"{{{_SOAP}}}Body")
    return envelope, etree.SubElement(body, f"{{{_MONITORING}}}{service}")


def _party(parent: etree._Element, tag: str, party: str) -> None:
    codes = party.split("/")
    _identifier(parent, tag, "SUBSYSTEM" if len(codes) == len(_CLIENT) else "MEMBER", _CLIENT[: len(codes)], codes)


def _identifier(parent: etree._Element, tag: str, kind: str, names: Sequence[str], codes: Sequence[str]) -> None:
    element = etree.SubElement(parent, tag, {f"{{{_IDENTIFIERS}}}objectType": kind})
    for name, code in zip(names, codes, strict=True):
        etree.SubElement(element, f"{{{_IDENTIFIERS}}}{name}").text = unquote(code)
