"""What a bus and a log of exchanges should not hold. Not a test itself."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from services.core.bus import subjects
from services.core.codec import encode_measurements
from services.core.evidence import Measurement, Target
from services.core.outcome import Outcome, Reason
from tests.e2e.dashboard_register import LINK, SLOT

__all__ = ["ALONE", "send_rubbish", "send_unreadable"]

ALONE = 300  # records of one side only


def records(number: int, *, age: float) -> list[dict[str, Any]]:
    """One side of exchanges that began so many seconds ago."""
    begun = int((time.time() - age) * 1000)
    return [
        {
            "securityServerType": "Client",
            "requestInTs": begun,
            "requestOutTs": begun + 5,
            "responseInTs": begun + 50,
            "responseOutTs": begun + 60,
            "monitoringDataTs": begun // 1000,
            "clientXRoadInstance": "OTHER",
            "clientMemberClass": "GOV",
            "clientMemberCode": "1",
            "serviceXRoadInstance": "OTHER",
            "serviceMemberClass": "GOV",
            "serviceMemberCode": "2",
            "serviceCode": "test",
            "messageId": f"{age}-{one}",
            "xRequestId": f"{age}-{one}",
            "succeeded": True,
        }
        for one in range(number)
    ]


async def send_rubbish(nats, logs: Path) -> None:
    """Put on the bus what cannot be read, and what comes days too late; and into a log of exchanges."""
    alone = records(ALONE, age=5)
    lines = [json.dumps(one) for one in (*alone, *alone, *records(3, age=40 * 86_400))]
    (logs / "exchanges.ndjson").write_text("\n".join((*lines, "no record at all", "")), "utf-8")
    late = Measurement(
        target=Target(LINK),
        vantage="main",
        slot_start=(int(time.time()) // SLOT) * SLOT - 10 * 86_400,
        time=time.time() - 10 * 86_400,
        outcome=Outcome.OK,
        reason=Reason.OK,
    )
    async with nats.connect("prober") as bus:
        await bus.publish(subjects.measurement("main", 0), encode_measurements([late]), message_id="")
    await send_unreadable(nats, 1)


async def send_unreadable(nats, number: int) -> None:
    """Put so many messages on the bus that are no measurements."""
    async with nats.connect("prober") as bus:
        for _ in range(number):
            await bus.send(subjects.measurement("main", 0), b"rubbish")
