"""Read what happened from the sandbox's own logs, and what Peyvand reports about it over gRPC.

Nothing here uses services/: the register is read from its files, as an auditor would do.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from fractions import Fraction
from pathlib import Path
from typing import Any

import grpc
import pytest
import yaml
from google.protobuf.timestamp_pb2 import Timestamp

from peyvand.v1 import indicator_pb2, indicator_service_pb2, indicator_service_pb2_grpc, outcome_pb2
from tests.support.oracles import index as oracle
from tests.support.processes import logged

OK = 5
EXACT = 1e-12
_SECONDS = 30.0
_OVERLOADED = {outcome_pb2.REASON_SHED, outcome_pb2.REASON_OVERRUN, outcome_pb2.REASON_PROBER_ERROR}
_MOST_OVERLOADED = 0.02
UNKNOWN = 1  # OUTCOME_UNKNOWN; every other outcome is stage + 2


def read_rows(folder: Path, name: str) -> list[dict[str, str]]:
    """Return the rows of one CSV file of a register directory."""
    with (folder / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _day(text: str) -> date | None:
    return date.fromisoformat(text) if text else None


def read_register(folder: Path) -> dict[str, Any]:
    """Return the register directory as plain rows for the oracle."""
    policy = yaml.safe_load((folder / "policy.yaml").read_text("utf-8"))
    return {
        "government": policy["government"]["id"],
        "timezone": policy["timezone"],
        "epoch": datetime.fromisoformat(policy["epoch"]).timestamp(),
        "slot_seconds": policy["slot_seconds"],
        "threshold": Fraction(str(policy["publish_threshold"])),
        "agencies": [{"id": row["id"], "sector": row["sector"]} for row in read_rows(folder, "agencies.csv")],
        "services": [
            {"id": row["id"], "agency": row["agency"], "weight": Fraction(row.get("weight") or "1")}
            for row in read_rows(folder, "services.csv")
        ],
        "links": [
            {
                "id": row["id"],
                "service": row["service"],
                "provider": row["provider"],
                "required_from": _day(row["required_from"]),
                "required_until": _day(row["required_until"]),
                "live_from": row["live_from"] if row["live_from"] == "always" else _day(row["live_from"]),
                "vantages": (),
                "weight": Fraction(row.get("weight") or "1"),
            }
            for row in read_rows(folder, "links.csv")
        ],
        "endpoints": [{"id": row["id"], "vantages": ()} for row in read_rows(folder, "endpoints.csv")],
    }


Told = dict[str, dict[int, int | None]]
"""Link → slot → stage of the verdict that the api told, None where unknown."""


@dataclass(frozen=True)
class Truth:
    """The sandbox's truth log: the stage of every link in every slot. A missing slot was OK."""

    slot_seconds: int
    first_slot: int
    spans: dict[tuple[str, int], int]

    def stage(self, link: str, slot: int) -> int:
        return self.spans.get((link, slot), OK)


def read_truth(path: Path) -> Truth:
    """Resolve the spans of truth.ndjson into one stage per (link, slot)."""
    header, *lines = logged(path)
    spans = {(span["link"], slot): span["stage"] for span in lines for slot in range(span["from"], span["to"])}
    return Truth(header["slot_seconds"], header["first_slot"], spans)


def late_slots(log: Path, among: range | None = None) -> set[int]:
    """Return the slots in which a too busy sandbox, by its own log, did not do in time what its truth says.

    Fail if there are half as many of them as slots ``among`` which they are looked for.
    """
    lines = [line for line in logged(log) if line["event"] == "truth served late"]
    late = {slot for line in lines for slot in range(line["from_slot"] - 1, line["to_slot"] + 1)}
    assert among is None or len(late) < len(among) / 2, "the machine was too busy for the sandbox"
    return late


def read_answers(path: Path) -> set[tuple[str, int]]:
    """(link, slot) of every answer in the sandbox's access log."""
    return {(row["link"], row["slot"]) for row in logged(path)}


class Client:
    """A client that uses only the published contract."""

    def __init__(self, api: str) -> None:
        # It is made before the api listens; gRPC would wait for longer after each refusal.
        soon = [(f"grpc.{name}_reconnect_backoff_ms", 100) for name in ("initial", "max")]
        self.channel = grpc.insecure_channel(api, soon)
        self.stub = indicator_service_pb2_grpc.IndicatorServiceStub(self.channel)

    def government(self, window: int = 28) -> indicator_pb2.Indicator | None:
        """Return the government's indicator, or None until there is one."""
        request = indicator_service_pb2.GetIndicatorRequest(
            kind=indicator_pb2.IndicatorKind.INDICATOR_KIND_GOVERNMENT, window_days=window
        )
        try:
            return self.stub.GetIndicator(request, timeout=_SECONDS).indicator
        except grpc.RpcError as error:
            if error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
                return None
            raise

    def indicators(self, kind: int, window: int) -> dict[str, indicator_pb2.Indicator]:
        """Every indicator of a kind."""
        found: dict[str, indicator_pb2.Indicator] = {}
        token = ""
        while True:
            page = self.stub.ListIndicators(
                indicator_service_pb2.ListIndicatorsRequest(
                    kind=indicator_pb2.IndicatorKind.ValueType(kind),
                    window_days=window,
                    page_size=100,
                    page_token=token,
                ),
                timeout=_SECONDS,
            )
            found |= {one.id: one for one in page.indicators}
            token = page.next_page_token
            if not token:
                return found

    def reason(self, link: str, slot: int, slot_seconds: int) -> str:
        """The reason of one verdict."""
        return outcome_pb2.Reason.Name(self.slot(link, slot, slot_seconds).reason)

    def slot(self, link: str, slot: int, slot_seconds: int) -> indicator_service_pb2.Slot:
        """One slot of a link: its verdict, and what each vantage reported."""
        return self.slots(link, slot, slot_seconds)[0]

    def slots(self, link: str, slot: int, slot_seconds: int) -> Sequence[indicator_service_pb2.Slot]:
        """Return the same as a list, which is empty when the api does not have that slot."""
        answer = self.stub.GetLink(
            indicator_service_pb2.GetLinkRequest(
                link=link,
                slots_from=Timestamp(seconds=slot * slot_seconds),
                slots_to=Timestamp(seconds=(slot + 1) * slot_seconds),
            ),
            timeout=_SECONDS,
        )
        return answer.slots

    def verdicts(self, link: str, first: int, end: int, slot_seconds: int) -> dict[int, int | None]:
        """Return the stage per slot in [first, end) of one link, None where unknown."""
        answer = self.stub.GetLink(
            indicator_service_pb2.GetLinkRequest(
                link=link,
                slots_from=Timestamp(seconds=first * slot_seconds),
                slots_to=Timestamp(seconds=end * slot_seconds),
            ),
            timeout=_SECONDS,
        )
        stages = {
            slot.slot_start.seconds // slot_seconds: None if slot.verdict == UNKNOWN else slot.verdict - 2
            for slot in answer.slots
        }
        return {slot: stages.get(slot) for slot in range(first, end)}

    def close(self) -> None:
        self.channel.close()


def overloaded_slots(client: Client, told: Told, slot_seconds: int, log: Path) -> set[tuple[str, int]]:
    """Return the unknown slots whose probes a prober shed, stalled in or ended too late, as happens on a busy machine.

    Fail if these are many, or if a probe crashed by the prober's log.
    """
    crashed = [line for line in logged(log) if line["event"] == "probe_crashed"]
    assert not crashed, f"{len(crashed)} probes crashed: {crashed[:3]}"
    unknown = {(link, s) for link, stages in told.items() for s, stage in stages.items() if stage is None}
    overloaded = {one for one in unknown if client.slot(*one, slot_seconds).reason in _OVERLOADED}
    share = len(overloaded) / sum(map(len, told.values()))
    assert share <= _MOST_OVERLOADED, f"the machine was too busy for the probers in {len(overloaded)} slots"
    return overloaded


def assert_the_index_counts_each_verdict_once(
    client: Client, register: dict[str, Any], live: list[str], first: int, slot_seconds: int
) -> None:
    """Read verdicts and index of one as_of, and assert that brute force makes the same index of these verdicts."""
    for _ in range(10):
        government = client.government()
        assert government is not None
        end = government.as_of.seconds // slot_seconds
        told = {link: client.verdicts(link, first, end, slot_seconds) for link in live}
        after = client.government()
        if after is not None and after.as_of.seconds == government.as_of.seconds:
            break
    else:
        pytest.fail("verdicts and index of one as_of could not be read together in ten attempts")
    stages = {(False, link, s): stage for link, of in told.items() for s, stage in of.items() if stage is not None}
    true = oracle.index(register, stages, days=28, end_slot=end)["government", register["government"]]
    assert government.lower == pytest.approx(float(true.lower), abs=EXACT)
    assert government.upper == pytest.approx(float(true.upper), abs=EXACT)
    assert government.known_share == pytest.approx(float(true.known_share), abs=EXACT)
    if true.point is not None:
        assert government.point == pytest.approx(float(true.point), abs=EXACT)
