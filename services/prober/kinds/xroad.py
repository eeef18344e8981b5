"""Probe kinds `xroad-rest` and `xroad-soap`: http and soap probes over a security server of X-Road.

The message headers are those of the X-Road Message Protocol for REST (PR-REST §4.3) and of its protocol 4.0 for SOAP
(PR-MESS §2.1, §2.2). Every probe is a message of its own, with an id of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import quote
from uuid import uuid4

from lxml import etree

from services.core.model import Probe, fill_placeholders, fill_probe
from services.core.xml import parse_xml
from services.prober.kinds import http
from services.prober.kinds.http import HttpTarget, as_post, build_http_target, with_defaults
from services.prober.kinds.kind import ProbeEnvironment
from services.prober.observation import Observation

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
    """One target, ready to be probed. Its request holds ``message_id``, which every probe replaces with a new one."""

    http: HttpTarget
    message_id: str


def prepare_rest(
    definition: Probe, target: str, params: Mapping[str, object], environment: ProbeEnvironment
) -> XroadTarget:
    """Build a target of kind xroad-rest; the service is part of its URL. Raises MissingSecretError and ValueError."""
    message_id = str(uuid4())
    filled = fill_probe(definition, params)
    client = "/".join(quote(part, safe="") for part in _parts(definition.client, params, _CLIENT).values())
    headers = {"X-Road-Client": client, "X-Road-Id": message_id}
    if filled.user_id:
        headers["X-Road-UserId"] = filled.user_id
    filled = replace(filled, headers=with_defaults(headers, filled.headers))
    return XroadTarget(build_http_target(filled, fill_placeholders(target, params), environment), message_id)


def prepare_soap(
    definition: Probe, target: str, params: Mapping[str, object], environment: ProbeEnvironment
) -> XroadTarget:
    """Build a target of kind xroad-soap. The definition's body goes into soap:Body.

    Raises MissingSecretError and ValueError.
    """
    message_id = str(uuid4())
    filled = fill_probe(definition, params)
    client = _parts(definition.client, params, _CLIENT)
    service = _parts(definition.service, params, _SERVICE)
    envelope = _envelope(client, service, filled.user_id, message_id, filled.body)
    url = fill_placeholders(target, params)
    return XroadTarget(build_http_target(as_post(replace(filled, body=envelope)), url, environment), message_id)


async def probe(target: XroadTarget, deadline: float) -> Observation:
    """Probe once, under a new message id. Always end by ``deadline`` (monotonic seconds)."""
    return await http.probe(_with_id(target.http, target.message_id.encode(), str(uuid4()).encode()), deadline)


def _with_id(target: HttpTarget, old: bytes, new: bytes) -> HttpTarget:
    """Return the target with one id replaced by another of the same length, wherever its request holds it."""
    payload = target.wire.payload
    assert isinstance(payload, bytes)  # X-Road uses HTTP/1.1 only
    wire = replace(target.wire, payload=payload.replace(old, new))
    if not target.follow and target.issuer is None:
        return replace(target, wire=wire)
    request = target.request
    headers = tuple((name, value.replace(old, new)) for name, value in request.headers)
    request = replace(request, headers=headers, content=request.content.replace(old, new))
    return replace(target, wire=wire, request=request)


def _parts(text: str, params: Mapping[str, object], names: Mapping[int, tuple[str, ...]]) -> dict[str, str]:
    """Return the parts of an identifier by name. It is split before it is filled in, so that each param is one part."""
    parts = [fill_placeholders(part, params).strip() for part in text.split("/")]
    if len(parts) not in names or not all(parts):
        raise ValueError("an X-Road identifier has an empty part, or too few or too many of them")
    return dict(zip(names[len(parts)], parts, strict=True))


def _envelope(client: Mapping[str, str], service: Mapping[str, str], user: str, message_id: str, body: str) -> str:
    prefixes = {"soap": _SOAP, "xroad": _XROAD, "id": _IDENTIFIERS}
    envelope = etree.Element(f"{{{_SOAP}}}Envelope", nsmap=prefixes)
    header = etree.SubElement(envelope, f"{{{_SOAP}}}Header")
    _identifier(header, "client", "SUBSYSTEM" if "subsystemCode" in client else "MEMBER", client)
    _identifier(header, "service", "SERVICE", service)
    for name, text in (("userId", user), ("id", message_id), ("protocolVersion", "4.0")):
        if text:
            etree.SubElement(header, f"{{{_XROAD}}}{name}").text = text
    etree.SubElement(envelope, f"{{{_SOAP}}}Body").append(parse_xml(body.encode()))
    return etree.tostring(envelope, encoding="UTF-8", xml_declaration=True).decode()


def _identifier(header: etree._Element, name: str, kind: str, parts: Mapping[str, str]) -> None:
    element = etree.SubElement(header, f"{{{_XROAD}}}{name}", {f"{{{_IDENTIFIERS}}}objectType": kind})
    for part, text in parts.items():
        etree.SubElement(element, f"{{{_IDENTIFIERS}}}{part}").text = text
