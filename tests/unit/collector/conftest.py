"""Exchange records for tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest


@pytest.fixture
def raw() -> Callable[..., dict[str, Any]]:
    """A raw record with what every record has, changed by keyword; a value of None removes the field."""

    def make(**changes: Any) -> dict[str, Any]:
        record = {
            "monitoringDataTs": 1_700_000_001,
            "securityServerType": "Client",
            "requestInTs": 1_700_000_000_000,
            "requestOutTs": 1_700_000_000_010,
            "responseInTs": 1_700_000_000_110,
            "responseOutTs": 1_700_000_000_120,
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
        return {name: value for name, value in (record | changes).items() if value is not None}

    return make


@pytest.fixture
def both(raw: Callable[..., dict[str, Any]]) -> Callable[..., tuple[dict[str, Any], dict[str, Any]]]:
    """The two sides of one exchange; the producer's clock is 5 ms ahead and the network takes 20 ms each way."""

    def make(**changes: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        start = changes.pop("requestInTs", 1_700_000_000_000)
        stamps = ("requestInTs", "requestOutTs", "responseInTs", "responseOutTs")
        client = dict(zip(stamps, (start, start + 10, start + 110, start + 120), strict=True))
        producer = dict(zip(stamps, (start + 35, start + 40, start + 90, start + 95), strict=True))
        return raw(**client, **changes), raw(**producer, **changes, securityServerType="Producer")

    return make
