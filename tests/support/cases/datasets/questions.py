"""A dataset made so that the answer to each question of docs/questions.md is known. Not a test."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from math import ceil
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest

from services.archive.registers import keep_register
from services.core.codec import encode_measurements
from services.core.model import ExchangeSummary, IndicatorKind, Measurement, Outcome, Reason, Register, Review, Target
from services.dataset.days import EvidenceDays, write_segments
from services.dataset.log import SigningKey
from services.dataset.storage import LocalStorage
from services.dataset.tables import EXCHANGE, FINDING, INDICATOR, Kind, exchange_table, finding_table, indicator_table
from services.register.directory.load import load_register
from services.register.versions import with_versions
from tests.support.cases.datasets.rows import found, published
from tests.support.cases.datasets.sealed import sealed_dataset
from tests.support.cases.scoring import Stored
from tests.support.registers import write_register

ZONE = ZoneInfo("Asia/Tehran")
SLOT = 300
HOUR = 3600

FEBRUARY, FRIDAY, SATURDAY, SUNDAY = "2026-02-28", "2026-03-06", "2026-03-07", "2026-03-08"
"""Days of evidence. The first is also a Saturday, in another month. The last is not sealed."""
SLOTS = 24
"""The slots of each day, from ten to twelve."""
VANTAGES = ("north", "south")

MEMBERS = """\
member,agency
GOV/M/1,civil-registry
GOV/M/2,land-registry
GOV/M/3,tax-office
GOV/M/3/CUSTOMS,customs
"""


class Fault(NamedTuple):
    """Why a target was not OK in some slots of a day, as these vantages saw it."""

    day: str
    target: str
    vantages: tuple[str, ...]
    slots: range
    reason: Reason


FAULTS = (
    Fault(FEBRUARY, "deed-civil", VANTAGES, range(24), Reason.STATUS),
    Fault(FEBRUARY, "clearance-customs", ("north",), range(12), Reason.STATUS),
    Fault(FRIDAY, "transfer-civil", VANTAGES, range(3), Reason.STATUS),
    Fault(FRIDAY, "clearance-land", ("south",), range(12), Reason.ANSWER_TIMEOUT),
    Fault(FRIDAY, "clearance-land", ("north",), range(12, 14), Reason.STATUS),
    Fault(FRIDAY, "clearance-land", ("north",), range(22, 23), Reason.OVERRUN),
    Fault(FRIDAY, "clearance-land", ("south",), range(23, 24), Reason.OVERRUN),
    Fault(FRIDAY, "birth-tax", ("south",), range(23, 24), Reason.OVERRUN),
    Fault(SATURDAY, "birth-tax", VANTAGES, range(12), Reason.CONNECT_REFUSED),
    Fault(SATURDAY, "deed-tax", VANTAGES, range(12), Reason.CONNECT_REFUSED),
    Fault(SATURDAY, "permit-tax", ("north",), range(12), Reason.VANTAGE_BLIND),
    Fault(SATURDAY, "permit-tax", ("south",), range(12), Reason.SHED),
    Fault(SATURDAY, "deed-tax", VANTAGES, range(12, 18), Reason.LATE),
    Fault(SATURDAY, "deed-civil", VANTAGES, range(2), Reason.STALE),
    Fault(SATURDAY, "deed-civil", VANTAGES, range(2, 3), Reason.ANSWER_TIMEOUT),
    Fault(SATURDAY, "deed-civil", VANTAGES, range(12, 24), Reason.STATUS),
    Fault(SATURDAY, "transfer-civil", ("north",), range(12, 24), Reason.VANTAGE_BLIND),
    Fault(SATURDAY, "transfer-civil", ("south",), range(12, 24), Reason.SHED),
)
"""What was not OK. On Saturday the tax office is down from ten to eleven, the civil registry from eleven to twelve."""

CERTIFICATES = {
    (FEBRUARY, "birth-tax", "north"): "2026-03-01",
    (FRIDAY, "portal", "north"): "2026-03-10",
    (SATURDAY, "portal", "north"): "2027-03-10",
    (FRIDAY, "portal", "south"): "2026-03-20",
    (SATURDAY, "portal", "south"): "2026-03-20",
    (FRIDAY, "permit-tax", "north"): "2026-03-15",
    (FRIDAY, "deed-civil", "north"): "2027-01-01",
    (SATURDAY, "deed-civil", "north"): "2026-03-25",
    (SATURDAY, "transfer-civil", "north"): "2026-04-30",
}
"""The day on which an observed certificate expires. No others were observed."""


def at(day: str, hour: float = 0.0) -> int:
    """A moment of a day of the government, in epoch seconds."""
    return int(datetime.fromisoformat(day).replace(tzinfo=ZONE).timestamp() + hour * HOUR)


def moment(day: str, hour: float = 0.0) -> datetime:
    return datetime.fromtimestamp(at(day, hour), UTC)


def measured(register: Register, day: str, slot: int, target: Target, vantage: str) -> Measurement:
    """Return a vantage's measurement of a target in a slot after ten. Latency is 100 ms, and 1 ms more in each slot."""
    faults = (fault for fault in FAULTS if (fault.day, fault.target) == (day, target.id) and vantage in fault.vantages)
    reason = next((fault.reason for fault in faults if slot in fault.slots), Reason.OK)
    start, expiry = at(day, 10) + slot * SLOT, CERTIFICATES.get((day, target.id, vantage))
    known = reason.outcome is not Outcome.UNKNOWN
    return Measurement(
        target=target,
        vantage=vantage,
        slot_start=start,
        time=start + 1.0,
        outcome=reason.outcome,
        reason=reason,
        latency=(3.0 if reason is Reason.LATE else 0.1) + slot / 1000 if known else None,
        certificate_expiry=int(datetime.fromisoformat(f"{expiry}T00:00Z").timestamp()) if expiry else None,
        register_version=register.register_version,
        probe_version=register.probe_version,
        prober="p1",
    )


def batches(register: Register, before: Register) -> Iterator[tuple[float, list[Measurement]]]:
    """Yield batches and their storage times: one per vantage and slot, and a repeated, late, early and unsealed one."""
    targets = [*map(Target, register.links), Target("portal", endpoint=True)]
    for day in (FEBRUARY, FRIDAY, SATURDAY, SUNDAY):
        for slot in range(SLOTS):
            for vantage in VANTAGES:
                in_force = before if (day, slot) < (SATURDAY, 3) else register
                asked = [
                    target
                    for target in targets
                    if target.endpoint
                    or (not (link := register.links[target.id]).absent and vantage in (link.vantages or VANTAGES))
                ]
                yield (
                    at(day, 10) + (slot + 1) * SLOT + 2.0,
                    [measured(in_force, day, slot, target, vantage) for target in asked],
                )
    again = measured(register, FRIDAY, 0, Target("clearance-land"), "south")
    yield at(FRIDAY, 10) + SLOT + 3.0, [again]
    too_late = [measured(register, FRIDAY, slot, Target("deed-tax"), "south") for slot in (0, 6)]
    yield at(FRIDAY, 10 + 30), [replace(row, prober="p2") for row in too_late]
    yield at(SATURDAY, 9), [replace(measured(register, SATURDAY, 0, Target("deed-tax"), "north"), prober="p3")]
    yield at("2026-03-09", 12), [measured(register, "2026-03-09", 0, Target("deed-tax"), "north")]  # closes Saturday


EXCHANGES = (
    (FEBRUARY, "GOV/M/2/DEEDS", "GOV/M/3/TAX/clearance", 1, {"count": 100, "ok": 93, "bus_failures": 7}),
    (FEBRUARY, "GOV/M/2/DEEDS", "GOV/M/3/TAX/clearance", 2, {"count": 110, "ok": 99, "bus_failures": 11}),
    (FRIDAY, "GOV/M/2/DEEDS", "GOV/M/3/TAX/clearance", 3, {"count": 64, "ok": 64}),
    (FRIDAY, "GOV/M/3/CUSTOMS", "GOV/M/1/REG/status", 4, {"count": 40, "ok": 30, "bus_failures": 10}),
    (FRIDAY, "GOV/M/2/DEEDS", "GOV/M/3/CUSTOMS/liens", 5, {"count": 5, "ok": 1, "bus_failures": 2}),
    (FRIDAY, "customs", "civil-registry/records/status", 9, {"count": 2, "ok": 2}),
    (FRIDAY, "GOV/X/9", "GOV/M/1/REG/status", 6, {"count": 3, "ok": 3}),
    (FRIDAY, "GOV/M/3/TAX", "GOV/M/3/TAX/own", 7, {"count": 9, "ok": 9}),
    (FRIDAY, "GOV/M/3/CUSTOMS", "GOV/M/1/listMethods", 8, {"count": 1000, "bus_failures": 1000, "meta": True}),
)
"""Summaries of exchanges. The second is a revision of the first, and comes days after the day was sealed."""

GOVERNMENT, OTHER = (IndicatorKind.GOVERNMENT, 28, "a" * 64), "b" * 64
INDICATORS: tuple[tuple[str, float, IndicatorKind, int, str, float | None], ...] = (
    (FEBRUARY, 10, *GOVERNMENT, 0.25),
    (FEBRUARY, 23, *GOVERNMENT, 0.5),
    (FRIDAY, 9, *GOVERNMENT, 0.5625),
    (FRIDAY, 9, IndicatorKind.GOVERNMENT, 7, "a" * 64, 0.125),
    (FRIDAY, 9, IndicatorKind.CONSUMER, 28, "a" * 64, 0.125),
    (SATURDAY, 9, IndicatorKind.GOVERNMENT, 28, OTHER, 0.75),
    (SATURDAY, 22, IndicatorKind.GOVERNMENT, 28, OTHER, 0.625),
    (SATURDAY, 22, IndicatorKind.GOVERNMENT, 28, OTHER, None),
)

FINDINGS = (
    (1, FEBRUARY, FEBRUARY, Review.OPEN),
    (1, FEBRUARY, FRIDAY, Review.CONFIRMED),
    (2, "2026-03-05", FRIDAY, Review.OPEN),
    (2, "2026-03-05", SATURDAY, Review.CONFIRMED),
    (4, "2026-03-05", FRIDAY, Review.CONFIRMED),
    (4, "2026-03-05", SATURDAY, Review.DISMISSED),
    (6, SATURDAY, SATURDAY, Review.OPEN),
)
"""Messages about findings: number, day of the beginning, day of the message, review."""


def write_other_kinds(storage: LocalStorage, days: EvidenceDays) -> None:
    """Write segments of exchanges, indicators and findings, with one message for each row."""
    tables: dict[Kind, list[pa.Table]] = {EXCHANGE: [], INDICATOR: [], FINDING: []}
    for sequence, (day, client, service, revision, counts) in enumerate(EXCHANGES, 1):
        summary = ExchangeSummary(client, service, at(day, 10), revision, **counts)  # type: ignore[arg-type]  # numbers and a flag
        stored = at(FRIDAY if revision == 2 else day, 11)
        tables[EXCHANGE].append(exchange_table("xroad", [summary], stored=stored, sequence=sequence))
    for sequence, (day, hour, kind, window, version, point) in enumerate(INDICATORS, 1):
        row = replace(published(1, at(day, hour)), kind=kind, window_days=window, register_version=version)
        row = replace(row, point=point, lower=0.25, upper=0.875)
        tables[INDICATOR].append(indicator_table([row], stored=at(day, hour) + 60, sequence=sequence))
    for sequence, (number, since, said, review) in enumerate(FINDINGS, 1):
        finding = replace(found(number, at(since)), review=review, note=f"{number} {review}", seen=2.5)
        tables[FINDING].append(finding_table([finding], stored=at(said, 13), sequence=sequence))
    for table_kind, rows in tables.items():
        write_segments(storage, table_kind, rows, 1, len(rows), days)


Rows = list[tuple[object, ...]]


@dataclass(frozen=True)
class Made:
    """The dataset, the register in force, and the measurements."""

    folder: Path
    register: Register
    rows: list[Measurement]

    def percentiles(self) -> Rows:
        """The 95th percentiles of latency, in milliseconds, by provider and Saturday."""
        found: dict[tuple[str, date], list[float]] = defaultdict(list)
        for row in self.in_time():
            if not row.target.endpoint and row.outcome in {Outcome.OK, Outcome.STALE, Outcome.LATE}:
                day = datetime.fromtimestamp(row.slot_start, ZONE).date()
                week = next(day - timedelta(back) for back in range(7) if (day - timedelta(back)).weekday() == 5)
                assert row.latency is not None
                found[self.register.links[row.target.id].provider, week].append(row.latency * 1000)
        return [
            (*key, len(times), pytest.approx(sorted(times)[ceil(0.95 * len(times)) - 1]))
            for key, times in sorted(found.items())
        ]

    def unknown(self) -> Rows:
        """Return the number of measurements of each vantage, and the share that is unknown."""
        vantages = Counter(row.vantage for row in self.in_time())
        unknown = Counter(row.vantage for row in self.in_time() if row.outcome is Outcome.UNKNOWN)
        return [
            ("north", vantages["north"], unknown["north"] / vantages["north"], "VANTAGE_BLIND"),
            ("south", vantages["south"], unknown["south"] / vantages["south"], "SHED"),
        ]

    def in_time(self) -> list[Measurement]:
        """The rows that are sealed with their day; the last days are not."""
        return [row for row in self.rows if row.prober == "p1" and row.slot_start < at(SUNDAY)]


def make(folder: Path) -> Made:
    """Make a dataset with the register in force and an older one, in which another agency answers a link."""
    register = load_register(write_register(folder / "register", members_csv=MEMBERS))
    links = {**register.links, "deed-tax": replace(register.links["deed-tax"], provider="customs")}
    before = with_versions(replace(register, links=links))
    policy, storage = register.policy, LocalStorage(folder / "dataset")
    write_other_kinds(storage, EvidenceDays(policy.timezone, policy.grace_seconds, policy.slot_seconds))
    sent = sorted(batches(register, before), key=lambda batch: batch[0])
    messages = [Stored(number, stored, encode_measurements(rows)) for number, (stored, rows) in enumerate(sent, 1)]
    sealed_dataset(folder / "dataset", register, messages, SigningKey.generate("archive.example"))
    keep_register(storage, before)
    return Made(folder / "dataset", register, [row for _, rows in sent for row in rows])
