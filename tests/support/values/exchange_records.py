"""Raw exchange records as X-Road writes them."""

from __future__ import annotations

from typing import Any

__all__ = ["PERSONAL", "both_sides", "record"]

PERSONAL = (
    "messageUserId",
    "messageIssue",
    "representedPartyClass",
    "representedPartyCode",
    "securityServerInternalIp",
    "restPath",
    "faultString",
    "soapFaultString",
)
"""Personal fields, which must never leave the collector."""

_STAMPS = ("requestInTs", "requestOutTs", "responseInTs", "responseOutTs")


def record(at: int = 1_700_000_000_000, /, **changes: Any) -> dict[str, Any]:
    """Return a client's record of a 120 ms exchange that began ``at`` (ms). Keywords change fields (None: remove)."""
    whole = {
        "monitoringDataTs": at // 1000 + 1,
        "securityServerType": "Client",
        **dict(zip(_STAMPS, (at, at + 10, at + 110, at + 120), strict=True)),
        "clientXRoadInstance": "IR",
        "clientMemberClass": "GOV",
        "clientMemberCode": "100",
        "clientSubsystemCode": "desk",
        "serviceXRoadInstance": "IR",
        "serviceMemberClass": "GOV",
        "serviceMemberCode": "200",
        "serviceSubsystemCode": "registry",
        "serviceCode": "person",
        "messageId": "m-1",
        "requestSize": 300,
        "responseSize": 900,
        "succeeded": True,
        "xRequestId": "x-1",
    }
    return {name: value for name, value in (whole | changes).items() if value is not None}


def both_sides(at: int = 1_700_000_000_000, /, **changes: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return both sides of one exchange. The producer's clock is 5 ms ahead; the network takes 20 ms each way."""
    stamps = dict(zip(_STAMPS, (at + 35, at + 40, at + 90, at + 95), strict=True))
    return record(at, **changes), record(at, **stamps, **changes, securityServerType="Producer")
