"""Answers requests for lists: the clients of a bus, and the services of a provider (X-Road PR-META, PR-MREST). Pure."""

from __future__ import annotations

from collections.abc import Sequence
from xml.sax.saxutils import escape

import orjson
from lxml import etree

from services.core.model import member_of
from services.core.xml import XmlError, parse_xml
from services.sandbox.exchanges import DataBus
from services.sandbox.security_server.messages import IDENTIFIERS, JSON, XML, read_party, soap_message, write_codes
from services.sandbox.servers import ReceivedRequest

_CLIENTS = b"/listClients"
_METHODS = "listMethods"
_REST = "/r1/"
_XROAD = "http://x-road.eu/xsd/xroad.xsd"
_JSON_PARTS = ("xroad_instance", "member_class", "member_code", "subsystem_code", "service_code")


def list_answer(bus: DataBus, request: ReceivedRequest) -> tuple[str, bytes] | None:
    """Return content type and body of the answer to a request for a list, None for any other request.

    The lists are ``GET /listClients``, ``GET /r1/PROVIDER/listMethods`` and the SOAP service listMethods of a provider.
    """
    path = request.url.partition(b"?")[0]
    if path == _CLIENTS:
        return XML, _client_list(bus)
    if path.startswith(_REST.encode()) and path.endswith(f"/{_METHODS}".encode()):
        provider = path.decode("latin-1").removeprefix(_REST).removesuffix(f"/{_METHODS}")
        return JSON, orjson.dumps({"service": [_json(service) for service in _services(bus, provider, rest=True)]})
    try:
        root = parse_xml(request.body)
    except XmlError:
        return None
    if root.find(f"{{*}}Body/{{*}}{_METHODS}") is None:
        return None
    return XML, _method_list(bus, root)


def _client_list(bus: DataBus) -> bytes:
    parties = {bus.monitor, *bus.names, *(party for route in bus.routes for party in (route.client, route.provider))}
    members = "".join(
        f"<xrd:member>{_identifier('id', party)}<xrd:name>{escape(bus.names[member_of(party)])}</xrd:name></xrd:member>"
        for party in sorted(parties)
    )
    spaces = f'xmlns:xrd="{_XROAD}" xmlns:id="{IDENTIFIERS}"'
    return f'<?xml version="1.0" encoding="UTF-8"?><xrd:clientList {spaces}>{members}</xrd:clientList>'.encode()


def _method_list(bus: DataBus, request: etree._Element) -> bytes:
    """Return the message that lists a provider's SOAP services, under the header of the request, as X-Road answers."""
    provider = read_party(request.find("{*}Header/{*}service"))
    services = "".join(_identifier("service", service) for service in _services(bus, provider, rest=False))
    header = request.find("{*}Header")
    return soap_message(
        f'<xrd:{_METHODS}Response xmlns:xrd="{_XROAD}">{services}</xrd:{_METHODS}Response>',
        "" if header is None else etree.tostring(header, encoding="unicode", with_tail=False),
    )


def _services(bus: DataBus, provider: str, *, rest: bool) -> Sequence[str]:
    """Return the REST or the SOAP services of a provider, without those of the bus itself."""
    return sorted(
        {
            route.service
            for route in bus.routes
            if route.provider == provider and route.rest is rest and not route.service.endswith(f"/{_METHODS}")
        }
    )


def _identifier(name: str, written: str) -> str:
    codes = written.split("/")
    kind = ("MEMBER", "SUBSYSTEM", "SERVICE")[len(codes) - 3]
    return f'<xrd:{name} id:objectType="{kind}">{write_codes(codes)}</xrd:{name}>'


def _json(service: str) -> dict[str, str]:
    parts = dict(zip(_JSON_PARTS, service.split("/"), strict=True))
    return {**parts, "object_type": "SERVICE", "service_type": "REST"}
