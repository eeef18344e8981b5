"""What a security server has logged: its records in X-Road's own fields, by the second they were taken in. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil
from typing import Any

from services.sandbox.exchanges.exchange import Exchange, View
from services.sandbox.exchanges.traffic import Traffic

__all__ = ["Logged", "logged", "records"]

_CLIENT, _PRODUCER = "Client", "Producer"
_PARTS = ("XRoadInstance", "MemberClass", "MemberCode", "SubsystemCode")


@dataclass(frozen=True, slots=True)
class Logged:
    """A side of an exchange that its server took in at a second by its own clock; ``again`` when it had it already."""

    exchange: Exchange
    view: View
    at: int
    again: bool

    @property
    def produced(self) -> bool:
        """Tell whether it is the provider's side."""
        return self.view is self.exchange.producer

    @property
    def party(self) -> str:
        """The member or subsystem whose side it is."""
        return self.exchange.route.provider if self.produced else self.exchange.route.client


def logged(traffic: Traffic, server: int, first: int, last: int) -> Iterator[Logged]:
    """Find what a server took in within seconds [first, last] by its own clock, in no order."""
    seconds = traffic.times.slot
    begin = max(first // seconds - traffic.reach, traffic.first_slot)
    for slot in range(begin, ceil((last + 2) / seconds) + 1):
        for exchange in traffic.of(slot):
            for view in (exchange.client, exchange.producer):
                if view is not None and view.server == server:
                    for turn, at in enumerate(view.logged):
                        if first <= at <= last:
                            yield Logged(exchange, view, at, turn > 0)


def records(
    traffic: Traffic, server: int, first: int, last: int, *, party: str = "", provider: str = ""
) -> list[dict[str, Any]]:
    """Return a server's records of seconds [first, last] by its own clock, in the order it took them in; where they are
    given, only those on the side of ``party``, and of services of ``provider``.
    """
    found = [
        _record(traffic, one)
        for one in logged(traffic, server, first, last)
        if party in ("", one.party) and provider in ("", one.exchange.route.provider)
    ]
    return sorted(found, key=lambda record: (record["monitoringDataTs"], record["messageId"]))


def _record(traffic: Traffic, one: Logged) -> dict[str, Any]:
    """Write one record with all that X-Road writes, also what a reader has to leave alone."""
    exchange, route, hosts = one.exchange, one.exchange.route, traffic.bus.servers
    request_in, request_out, response_in, response_out = one.view.stamps
    fields = {
        "monitoringDataTs": one.at,
        "securityServerInternalIp": hosts[one.view.server].host,
        "securityServerType": _PRODUCER if one.produced else _CLIENT,
        "requestInTs": request_in,
        "requestOutTs": request_out,
        "responseInTs": response_in,
        "responseOutTs": response_out,
        **dict(_identifier("client", route.client.split("/"))),
        **dict(_identifier("service", route.provider.split("/"))),
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
        "succeeded": exchange.succeeded,
        "statusCode": exchange.status,
        "faultCode": exchange.fault or None,
        "faultString": "simulated" if exchange.fault else None,
        "xRequestId": exchange.id,
        "xRoadVersion": "7.0.0",
    }
    return {name: value for name, value in fields.items() if value is not None}


def _identifier(party: str, codes: list[str]) -> Iterator[tuple[str, str]]:
    return zip((f"{party}{part}" for part in _PARTS), codes, strict=False)
