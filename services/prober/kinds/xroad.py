"""Probe kinds `xroad-rest` and `xroad-soap`: what http and soap ask, over a security server of X-Road.

The message headers are those of the X-Road Message Protocol for REST (PR-REST §4.3) and of its protocol 4.0 for SOAP
(PR-MESS §2.1, §2.2). Every probe is a message of its own, with an id of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import quote
from uuid import uuid4

import httpx
from lxml import etree

from services.core.model import Probe, fill_placeholders, fill_probe
from services.core.xml import parse_xml
from services.prober.environment import ProbeEnvironment
from services.prober.kinds import http
from services.prober.kinds.soap import as_post
from services.prober.observation import Observation

__all__ = ["XroadTarget", "prepare_rest", "prepare_soap", "probe"]

_SOAP: Final = "http://schemas.xmlsoap.org/soap/envelope/"
_XROAD: Final = "http://x-road.eu/xsd/xroad.xsd"
_IDENTIFIERS: Final = "http://x-road.eu/xsd/identifiers"
_MEMBER: Final = ("xRoadInstance", "memberClass", "memberCode")
_CLIENT: Final[Mapping[int, tuple[str, ...]]] = {3: _MEMBER, 4: (*_MEMBER, "subsystemCode")}
_SERVICE: Final[Mapping[int, tuple[str, ...]]] = {
    4: (*_MEMBER, "serviceCode"),
    5: (*_MEMBER, "subsystemCode", "serviceCode"),
    6: (*_MEMBER, "subsystemCode", "serviceCode", "serviceVersion"),
}


@dataclass(frozen=True, slots=True)
class XroadTarget:
    """One target, ready to be asked: its request holds ``id``, which every probe replaces by one of its own."""

    http: http.HttpTarget
    id: str


def prepare_rest(
    definition: Probe, target: str, params: Mapping[str, object], environment: ProbeEnvironment
) -> XroadTarget:
    """Build a target of kind xroad-rest; the service is part of its URL. Raises MissingSecretError and ValueError."""
    number = str(uuid4())
    written = fill_probe(definition, params)
    client = "/".join(quote(part, safe="") for part in _parts(definition.client, params, _CLIENT).values())
    headers = {"X-Road-Client": client, "X-Road-Id": number}
    if written.user_id:
        headers["X-Road-UserId"] = written.user_id
    ours = {name.lower() for name in headers}
    headers = {name: value for name, value in written.headers.items() if name.lower() not in ours} | headers
    return XroadTarget(
        http.http_target(replace(written, headers=headers), fill_placeholders(target, params), environment), number
    )


def prepare_soap(
    definition: Probe, target: str, params: Mapping[str, object], environment: ProbeEnvironment
) -> XroadTarget:
    """Build a target of kind xroad-soap; its body is what stands in soap:Body. Raises MissingSecretError and ValueError."""
    number = str(uuid4())
    written = fill_probe(definition, params)
    client = _parts(definition.client, params, _CLIENT)
    service = _parts(definition.service, params, _SERVICE)
    message = _envelope(client, service, written.user_id, number, written.body)
    return XroadTarget(
        http.http_target(as_post(replace(written, body=message)), fill_placeholders(target, params), environment),
        number,
    )


async def probe(target: XroadTarget, deadline: float) -> Observation:
    """Ask once, under a message id never used before; end by ``deadline`` (monotonic seconds), always."""
    return await http.probe(_renewed(target.http, target.id.encode(), str(uuid4()).encode()), deadline)


def _renewed(target: http.HttpTarget, old: bytes, new: bytes) -> http.HttpTarget:
    """Return the target with ``new`` in place of ``old``, which is as long, wherever its request holds it."""
    wire = target.call.wire
    assert isinstance(wire, bytes)  # X-Road speaks HTTP/1.1 alone
    call = replace(target.call, wire=wire.replace(old, new))
    if not target.follow and target.issuer is None:
        return replace(target, call=call)
    given = target.request
    headers = [(name, value.replace(old, new)) for name, value in given.headers.raw]
    content = given.content.replace(old, new)
    return replace(
        target,
        call=call,
        request=httpx.Request(given.method, given.url, headers=headers, content=content or None),
    )


def _parts(text: str, params: Mapping[str, object], names: Mapping[int, tuple[str, ...]]) -> dict[str, str]:
    """Return the parts of an identifier by name. They are told apart before they are filled in: a param is one part."""
    parts = [fill_placeholders(part, params).strip() for part in text.split("/")]
    if len(parts) not in names or not all(parts):
        raise ValueError("an X-Road identifier has an empty part, or too few or too many of them")
    return dict(zip(names[len(parts)], parts, strict=True))


def _envelope(client: Mapping[str, str], service: Mapping[str, str], user: str, number: str, body: str) -> str:
    prefixes = {"soap": _SOAP, "xroad": _XROAD, "id": _IDENTIFIERS}
    envelope = etree.Element(f"{{{_SOAP}}}Envelope", nsmap=prefixes)
    header = etree.SubElement(envelope, f"{{{_SOAP}}}Header")
    _identifier(header, "client", "SUBSYSTEM" if "subsystemCode" in client else "MEMBER", client)
    _identifier(header, "service", "SERVICE", service)
    for name, text in (("userId", user), ("id", number), ("protocolVersion", "4.0")):
        if text:
            etree.SubElement(header, f"{{{_XROAD}}}{name}").text = text
    etree.SubElement(envelope, f"{{{_SOAP}}}Body").append(parse_xml(body.encode()))
    return etree.tostring(envelope, encoding="UTF-8", xml_declaration=True).decode()


def _identifier(header: etree._Element, name: str, kind: str, parts: Mapping[str, str]) -> None:
    element = etree.SubElement(header, f"{{{_XROAD}}}{name}", {f"{{{_IDENTIFIERS}}}objectType": kind})
    for part, text in parts.items():
        etree.SubElement(element, f"{{{_IDENTIFIERS}}}{part}").text = text
