"""Unreadable, late and unexpected content for the bus and for exchange logs."""

from __future__ import annotations

import json
import time
from pathlib import Path

from services.core.bus.names import measurement_subject
from services.core.codec import encode_measurements
from services.core.model.measurement import Measurement, Target
from services.core.model.outcome import Outcome, Reason
from tests.support.cases.dashboards.register import AGENCY, LINK, SLOT
from tests.support.cases.sandbox_register import read_rows

__all__ = ["ALONE", "STRANGE", "STRANGER", "send_rubbish", "send_unreadable"]

ALONE = 300  # records of one side only
STRANGE = 40  # exchanges that nobody declared
STRANGER = "customs"  # AGENCY has no reason to ask it


def records(
    number: int, *, age: float, client: str = "X/GOV/1", service: str = "X/GOV/2", side: str = "Client"
) -> list[str]:
    """Return one side of exchanges between two members as lines. The exchanges began ``age`` seconds ago."""
    begun = int((time.time() - age) * 1000)
    who: dict[str, str] = {}
    for role, member in (("client", client), ("service", service)):
        names = (f"{role}XRoadInstance", f"{role}MemberClass", f"{role}MemberCode")
        who.update(zip(names, member.split("/"), strict=True))
    common = {
        **who,
        "securityServerType": side,
        "requestInTs": begun,
        "requestOutTs": begun + 5,
        "responseInTs": begun + 50,
        "responseOutTs": begun + 60,
        "monitoringDataTs": begun // 1000,
        "serviceSubsystemCode": "desk",
        "serviceCode": "test",
        "succeeded": True,
    }
    ids = (f"{client}-{int(age)}-{one}" for one in range(number))
    return [json.dumps({**common, "messageId": one, "xRequestId": one}) for one in ids]


async def send_rubbish(nats, logs: Path, register: Path) -> None:
    """Publish an unreadable message and one that is days too late, and write rubbish into a log of exchanges.

    Some of the exchanges belong to no link of the register.
    """
    member = {row["agency"]: row["member"] for row in read_rows(register / "members.csv")}
    asked = {"client": member[AGENCY], "service": member[STRANGER]}
    alone = records(ALONE, age=5)
    both = (*records(STRANGE, age=6, **asked), *records(STRANGE, age=6, **asked, side="Producer"))
    lines = (*alone, *alone, *both, *records(3, age=40 * 86_400), "no record at all", "")
    (logs / "exchanges.ndjson").write_text("\n".join(lines), "utf-8")
    late = Measurement(
        target=Target(LINK),
        vantage="main",
        slot_start=(int(time.time()) // SLOT) * SLOT - 10 * 86_400,
        time=time.time() - 10 * 86_400,
        outcome=Outcome.OK,
        reason=Reason.OK,
    )
    async with nats.connect("prober") as bus:
        await bus.publish(measurement_subject("main", 0), encode_measurements([late]), message_id="")
    await send_unreadable(nats, 1)


async def send_unreadable(nats, number: int) -> None:
    """Publish ``number`` messages that are no measurements, and wait until they are stored."""
    where = measurement_subject("main", 0)
    async with nats.connect("prober") as bus:
        for _ in range(number - 1):
            await bus.send(where, b"rubbish")
        await bus.publish(where, b"rubbish", message_id="", timeout=30)
