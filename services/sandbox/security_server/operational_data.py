"""Makes a security server's operational data: records in X-Road's fields, by the second they were stored in. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from services.sandbox.exchanges import SideRecord, SimulatedExchange, SimulatedTraffic

_CLIENT, _PRODUCER = "Client", "Producer"
_PARTS = ("XRoadInstance", "MemberClass", "MemberCode", "SubsystemCode")


@dataclass(frozen=True, slots=True)
class LogEntry:
    """A side of an exchange that its server stored in a second by its clock; ``repeated`` when it was stored before."""

    exchange: SimulatedExchange
    side: SideRecord
    second: int
    repeated: bool

    @property
    def produced(self) -> bool:
        """Whether it is the provider's side."""
        return self.side is self.exchange.producer

    @property
    def party(self) -> str:
        """The member or subsystem whose side it is."""
        return self.exchange.route.provider if self.produced else self.exchange.route.client


def log_entries(traffic: SimulatedTraffic, server: int, first: int, last: int) -> Iterator[LogEntry]:
    """Yield the entries that a server stored in seconds [first, last] by its clock, in no particular order."""
    slot_seconds = traffic.times.slot
    near = first // slot_seconds - 1  # of earlier slots, only late records are stored from the first second on
    begin = max(first // slot_seconds - traffic.reach, traffic.first_slot)
    for slot in range(begin, (last + 2) // slot_seconds + 1):
        for exchange in traffic.of(slot) if slot >= near else traffic.late(slot):
            for side in (exchange.client, exchange.producer):
                if side is not None and side.server == server:
                    for number, second in enumerate(side.logged):
                        if first <= second <= last:
                            yield LogEntry(exchange, side, second, number > 0)


def operational_records(
    traffic: SimulatedTraffic, server: int, first: int, last: int, *, party: str = "", provider: str = ""
) -> list[dict[str, Any]]:
    """Return a server's records of seconds [first, last] by its clock, in the order it stored them.

    ``party`` and ``provider`` select the records on that party's side, and those of that provider's services.
    """
    records = [
        _record(traffic, entry)
        for entry in log_entries(traffic, server, first, last)
        if party in ("", entry.party) and provider in ("", entry.exchange.route.provider)
    ]
    return sorted(records, key=lambda record: (record["monitoringDataTs"], record["xRequestId"]))


def _record(traffic: SimulatedTraffic, entry: LogEntry) -> dict[str, Any]:
    """Return one record with every field that X-Road writes, also those that readers must ignore."""
    exchange, route, servers = entry.exchange, entry.exchange.route, traffic.bus.servers
    request_in, request_out, response_in, response_out = entry.side.stamps
    fields = {
        "monitoringDataTs": entry.second,
        "securityServerInternalIp": servers[entry.side.server].host,
        "securityServerType": _PRODUCER if entry.produced else _CLIENT,
        "requestInTs": request_in,
        "requestOutTs": request_out,
        "responseInTs": response_in,
        "responseOutTs": response_out,
        **dict(_identifier("client", route.client.split("/"))),
        **dict(_identifier("service", route.provider.split("/"))),
        "serviceCode": route.service.rpartition("/")[2],
        "serviceType": "REST" if route.rest else "WSDL",
        "restMethod": "GET" if route.rest else None,
        "restPath": f"/{exchange.id}" if route.rest else None,
        "messageId": exchange.message,
        "messageUserId": f"XX{exchange.id[:8]}",
        "messageProtocolVersion": "1" if route.rest else "4.0",
        "clientSecurityServerAddress": servers[route.client_server].host,
        "serviceSecurityServerAddress": servers[route.provider_server].host,
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
