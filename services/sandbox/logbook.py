"""What a security server has logged: its records in X-Road's own fields, by the second they were taken in. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil
from typing import Any

from services.sandbox.mediation import Ending, Exchange, View
from services.sandbox.traffic import Traffic

__all__ = ["records"]

_PARTS = ("XRoadInstance", "MemberClass", "MemberCode", "SubsystemCode")


def records(traffic: Traffic, server: int, first: int, last: int) -> list[dict[str, Any]]:
    """Return a server's records of seconds [first, last] by its own clock, in the order it took them in."""
    seconds = traffic.times.slot
    found: list[dict[str, Any]] = []
    begin = max(first // seconds - traffic.reach, traffic.first_slot)
    for slot in range(begin, ceil((last + 2) / seconds) + 1):
        for exchange in traffic.of(slot):
            for kind, view in (("Client", exchange.client), ("Producer", exchange.producer)):
                if view is not None and view.server == server:
                    found.extend(
                        _record(traffic, exchange, kind, view, at) for at in view.logged if first <= at <= last
                    )
    return sorted(found, key=lambda record: (record["monitoringDataTs"], record["messageId"]))


def _record(traffic: Traffic, exchange: Exchange, kind: str, view: View, logged: int) -> dict[str, Any]:
    """Write one record with all that X-Road writes, also what a reader has to leave alone."""
    route, hosts = exchange.route, traffic.bus.servers
    request_in, request_out, response_in, response_out = view.stamps
    fields = {
        "monitoringDataTs": logged,
        "securityServerInternalIp": hosts[view.server].host,
        "securityServerType": kind,
        "requestInTs": request_in,
        "requestOutTs": request_out,
        "responseInTs": response_in,
        "responseOutTs": response_out,
        **dict(_identifier("client", route.client.split("/"))),
        **dict(_identifier("service", route.service.split("/")[:-1])),
        "serviceCode": route.service.rpartition("/")[2],
        "serviceType": "REST" if route.rest else None,
        "restMethod": "GET" if route.rest else None,
        "restPath": f"/{exchange.id}" if route.rest else None,
        "messageId": exchange.id,
        "messageUserId": f"XX{exchange.id[:8]}",
        "messageProtocolVersion": "1" if route.rest else "4.0",
        "clientSecurityServerAddress": hosts[route.client_server].host,
        "serviceSecurityServerAddress": hosts[route.provider_server].host,
        "requestSize": exchange.request_bytes,
        "responseSize": exchange.response_bytes,
        "requestAttachmentCount": 0,
        "responseAttachmentCount": 0,
        "succeeded": exchange.ending is not Ending.BUS_FAILURE,
        "statusCode": exchange.status,
        "faultCode": exchange.fault or None,
        "faultString": "simulated" if exchange.fault else None,
        "xRequestId": exchange.id,
        "xRoadVersion": "7.0.0",
    }
    return {name: value for name, value in fields.items() if value is not None}


def _identifier(party: str, codes: list[str]) -> Iterator[tuple[str, str]]:
    return zip((f"{party}{part}" for part in _PARTS), codes, strict=False)
