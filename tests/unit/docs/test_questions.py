"""Each question of docs/questions.md has the right answer, out of a dataset that was made so that the answer is known."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from math import ceil
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

import duckdb
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
from tests.support.console.pages import Block, blocks
from tests.support.paths import ROOT
from tests.support.registers import write_register

PAGE = "docs/questions.md"
VIEWS, *QUESTIONS = blocks(PAGE)
ZONE = ZoneInfo("Asia/Tehran")
SLOT = 300
HOUR = 3600

FEBRUARY, FRIDAY, SATURDAY, SUNDAY = "2026-02-28", "2026-03-06", "2026-03-07", "2026-03-08"
"""Days of evidence. The first is a Saturday too, of another month; the last is not sealed."""
SLOTS = 24
"""Of each day, from ten to twelve."""
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
"""What was not OK: on Saturday the tax office is down from ten to eleven, and the civil registry from eleven to twelve."""

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
"""The day on which the certificate expires that was seen. Others were not."""


def at(day: str, hour: float = 0.0) -> int:
    """A moment of a day of the government, in epoch seconds."""
    return int(datetime.fromisoformat(day).replace(tzinfo=ZONE).timestamp() + hour * HOUR)


def moment(day: str, hour: float = 0.0) -> datetime:
    return datetime.fromtimestamp(at(day, hour), UTC)


def measured(register: Register, day: str, slot: int, target: Target, vantage: str) -> Measurement:
    """What a vantage measures of a target in a slot after ten o'clock: from 100 milliseconds on, each slot one longer."""
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
    """Batches with when they were stored: one of each vantage and slot, one twice, one late, one early, one not sealed."""
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
"""Summaries of exchanges, the second a revision of the first that comes days after the day was sealed."""

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
"""What was said of findings: number, when they began, when it was said, and what."""


def write_other_kinds(storage: LocalStorage, days: EvidenceDays) -> None:
    """Write segments of what is not measured, as of a message for each row."""
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
        tables[FINDING].append(finding_table(finding, stored=at(said, 13), sequence=sequence))
    for table_kind, rows in tables.items():
        write_segments(storage, table_kind, rows, 1, len(rows), days)


Rows = list[tuple[object, ...]]


@dataclass(frozen=True)
class Made:
    """The dataset, the register in force, and what was measured."""

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
        """Measurements of each vantage, and the share that is unknown."""
        vantages = Counter(row.vantage for row in self.in_time())
        unknown = Counter(row.vantage for row in self.in_time() if row.outcome is Outcome.UNKNOWN)
        return [
            ("north", vantages["north"], unknown["north"] / vantages["north"], "VANTAGE_BLIND"),
            ("south", vantages["south"], unknown["south"] / vantages["south"], "SHED"),
        ]

    def in_time(self) -> list[Measurement]:
        """The rows that are sealed with their day; the last days are not."""
        return [row for row in self.rows if row.prober == "p1" and row.slot_start < at(SUNDAY)]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A dataset with the register in force and one from before, by which another agency answers a link."""
    folder = tmp_path_factory.mktemp("questions")
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


ANSWERS: dict[str, tuple[str, Rows | Callable[[Made], Rows]]] = {
    "1": (
        "link provider failed answered share",
        [
            ("deed-tax", "tax-office", 36, 12, 0.75),
            ("deed-civil", "civil-registry", 30, 18, 0.625),
            ("transfer-civil", "civil-registry", 0, 24, 0.0),
        ],
    ),
    "2": ("provider week answers milliseconds", Made.percentiles),
    "3": (
        "provider hour consumers slots",
        [
            ("land-registry", moment(FRIDAY, 10), 1, 12),  # two vantages disagreed
            ("tax-office", moment(SATURDAY, 10), 2, 24),  # of the third nothing is known
            ("civil-registry", moment(SATURDAY, 11), 1, 12),
        ],
    ),
    "4": ("vantage measurements unknown mostly", Made.unknown),
    "5": (
        "link endpoint vantage expires",
        [
            ("permit-tax", None, "north", datetime(2026, 3, 15, tzinfo=UTC)),
            (None, "portal", "south", datetime(2026, 3, 20, tzinfo=UTC)),
            ("deed-civil", None, "north", datetime(2026, 3, 25, tzinfo=UTC)),
        ],
    ),
    "6": (
        "day client exchanges failed share",
        [
            (date.fromisoformat(FEBRUARY), "GOV/M/2/DEEDS", 110, 11, 0.1),
            (date.fromisoformat(FRIDAY), "GOV/M/3/CUSTOMS", 40, 10, 0.25),
            (date.fromisoformat(FRIDAY), "GOV/M/2/DEEDS", 64 + 5, 2, 2 / 69),
        ],
    ),
    "7": (
        "consumer provider exchanges declared",
        [
            ("customs", "civil-registry", 40 + 2, False),
            ("land-registry", "customs", 5, True),
            ("GOV/X/9", "civil-registry", 3, False),
        ],
    ),
    "8": (
        "day point lower upper moved other_rules",
        [
            (date.fromisoformat(FEBRUARY), 0.5, 0.25, 0.875, None, None),
            (date.fromisoformat(FRIDAY), 0.5625, 0.25, 0.875, 0.0625, False),
            (date.fromisoformat(SATURDAY), None, 0.25, 0.875, None, True),
        ],
    ),
    "9": (
        "id kind subject since ended_at seen expected note",
        [
            (f"{2:016x}", "rise", "xroad GOV/P/1/service", moment("2026-03-05"), None, 2.5, 9.5, "2 confirmed"),
        ],
    ),
    "10": (
        "link one other slots only_one_ok only_other_ok",
        [("clearance-land", "north", "south", 48 - 2, 12, 2)],
    ),
    "11": (
        "came_on of_day vantage prober measurements longest early",
        [
            (date.fromisoformat(SATURDAY), date.fromisoformat(FRIDAY), "south", "p2", 2, timedelta(hours=30), 0),
            (date.fromisoformat(SATURDAY), date.fromisoformat(SATURDAY), "north", "p3", 1, timedelta(hours=-1), 1),
        ],
    ),
}
"""The columns and rows of the answer to each question, by its number; what is long is counted."""


@pytest.fixture
def ask(made: Made, monkeypatch: pytest.MonkeyPatch) -> Iterator[duckdb.DuckDBPyConnection]:
    """DuckDB in the folder of the dataset, with the views of the page and nothing from the network."""
    monkeypatch.chdir(made.folder)
    with duckdb.connect(config={"autoinstall_known_extensions": "false"}) as connection:
        connection.execute(VIEWS.text)
        yield connection


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda one: one.name)
def test_the_answer_is_right(ask: duckdb.DuckDBPyConnection, made: Made, question: Block) -> None:
    """What the page shows of each question in docs/questions.md finds what was put into the dataset."""
    columns, expected = ANSWERS[question.name.removeprefix(f"{PAGE}: ").partition(".")[0]]
    answer = ask.execute(question.text)
    assert " ".join(column[0] for column in answer.description) == columns
    assert answer.fetchall() == (expected(made) if callable(expected) else expected)


def test_every_question_is_asked() -> None:
    """The page has no question without an answer here, and each is asked by one block."""
    assert [one.name for one in QUESTIONS] == [
        f"{PAGE}: {heading} 1" for heading in re.findall(r"^## (\d.*)$", (ROOT / PAGE).read_text("utf-8"), re.MULTILINE)
    ]
    assert len(QUESTIONS) == len(ANSWERS)
