"""A dataset with a mark in each field that open data must not show, and indicators published from it. Not a test."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from services.archive.link_days import link_days
from services.archive.registers import keep_register
from services.cli.command_line import app
from services.core.codec import decode_columns, encode_measurements
from services.core.errors import PeyvandError
from services.core.model import (
    ExchangeSummary,
    Indicator,
    IndicatorKind,
    Measurement,
    MeasurementColumns,
    Register,
    Structure,
)
from services.core.model.outcome import OUTCOME_OF, Reason
from services.dataset.days import EvidenceDays, Sealer, SealingContext, write_segments
from services.dataset.log import SigningKey
from services.dataset.storage import LocalStorage
from services.dataset.tables import (
    EXCHANGE,
    INDICATOR,
    MEASUREMENT,
    exchange_table,
    indicator_table,
    measurement_table,
)
from services.register.directory import load_register
from services.scorer.offline import network, score_batches
from tests.support.registers import EVALUATION, write_register

__all__ = [
    "AGENCY_KINDS",
    "MARK",
    "Published",
    "contents",
    "export",
    "exported",
    "publish",
    "published",
    "rows",
    "write_marked_register",
]

MARK = "canary"
"""Begins every text that must not be exported."""

AGENCY_KINDS = (IndicatorKind.GOVERNMENT, IndicatorKind.SECTOR, IndicatorKind.CONSUMER, IndicatorKind.PROVIDER)
SLOT = 1800
START = 1_772_310_600  # 2026-03-01T00:00:00 in Tehran, where slots of an hour would begin at half past
_MESSAGES_OF_A_SEGMENT = 6
_SLOTS_OF_AN_INDEX = 24  # half a day, so that of two indexes of a day the last counts
_REASONS = [Reason.OK] * 6 + [Reason.ANSWER_TIMEOUT, Reason.STATUS, Reason.LATE, Reason.SHED]

_POLICY = """\
government: {id: country, name_en: Country, name_fa: کشور}
timezone: Asia/Tehran
epoch: 2026-01-01
slot_seconds: 1800
windows_days: [7, 28]
publish_threshold: 0
grace_hours: 1
vantages:
  - {id: canary-vantage, control_targets: ["http://canary-control.example/"], control_names: [canary-name.example]}
egress: {allow: [198.51.100.77/32]}
bus: canary-bus
open_data: {publisher_en: Court of Audit, publisher_fa: دیوان محاسبات, licence: "https://licence.example/by", url: "https://peyvand.example/data/export/"}
"""

_PROBES = """\
canary-probe:
  kind: http
  method: POST
  headers: {X-Canary: canary-header}
  body: '{"national_id": "${national_id}", "why": "canary-body"}'
  timeout: 5s
  auth: {kind: basic, username: canary-user, password: "env:PROBE_CANARY"}
  expect:
    json: [{path: "$.canary", equals: canary-expected}]
"""

_ANNOUNCEMENTS = """\
canary-announcement:
  kind: incident
  from: 2026-03-01T10:00:00Z
  title_en: canary-title
  title_fa: canary-title
  text_en: canary-text
  text_fa: canary-text
"""


def write_marked_register(folder: Path) -> Path:
    """Write a register with a mark in every field that is not open data."""
    written = write_register(
        folder,
        policy_yaml=_POLICY,
        probes_yaml=_PROBES,
        endpoints_csv=(
            "id,agency,service,probe,target,params,vantages\n"
            'canary-bus,civil-registry,,canary-probe,https://canary-bus.example/,"{""national_id"": ""canary-1""}",\n'
        ),
        members_csv="member,agency\nCANARY/canary-class/canary-code,tax-office\n",
        exchange_csv="client,service,link\nCANARY/a/canary-client,CANARY/b/c/d/canary-service,deed-tax\n",
        maintenance_csv="subject,from,to,note\ntax-office,2026-03-01,2026-03-02,canary-maintenance\n",
        announcements_yaml=_ANNOUNCEMENTS,
        objections_csv=(
            "link,from,to,text_en,text_fa,answer_en,answer_fa,state\n"
            "deed-tax,2026-03-01,,canary-objection,canary-objection,canary-answer,canary-answer,rejected\n"
        ),
        evaluation_rounds_yaml=EVALUATION,
    )
    links = (written / "links.csv").read_text("utf-8")
    for old, new in (
        ("http://127.0.0.1:7500/", "https://canary-target.example/"),
        ("0000000000", "canary-param"),
        (",inquiry,", ",canary-probe,"),
        (
            ",page,https://canary-target.example/land/titles,,",
            ',canary-probe,https://canary-target.example/,"{""national_id"": ""canary-2""}",',
        ),
        (
            ",page,https://canary-target.example/customs/imports,,north,",
            ',canary-probe,https://canary-target.example/,"{""national_id"": ""canary-3""}",canary-vantage,',
        ),
        (",north; south,", ",canary-vantage,"),
    ):
        assert old in links, old
        links = links.replace(old, new)
    (written / "links.csv").write_text(links, "utf-8")
    return written


@dataclass(frozen=True)
class Published:
    """A dataset, its register, the last indicators of each day, and the structures at the end."""

    address: str
    register: Register
    days: dict[str, list[Indicator]]
    structures: tuple[Structure, ...]


def publish(folder: Path, *, slots: int = 132) -> Published:
    """Measure and publish for so many slots from a midnight on, and seal the days that are over."""
    register = load_register(write_marked_register(folder / "register"))
    storage, policy = LocalStorage(folder / "dataset"), register.policy
    days = EvidenceDays(policy.timezone, policy.grace_seconds, policy.slot_seconds)
    chance = random.Random(3)
    batches: list[MeasurementColumns] = []
    measured: list[pa.Table] = []
    exchanged: list[pa.Table] = []
    last: dict[str, list[Indicator]] = {}
    structures: tuple[Structure, ...] = ()
    for slot in range(slots):
        sequence, stored = slot + 1, float(START + (slot + 1) * SLOT + 5)
        columns = replace(_measured(register, START + slot * SLOT, chance), prober="canary-prober")
        batches.append(columns)
        measured.append(measurement_table(columns, stored=stored, sequence=sequence))
        summary = _exchanged(START + slot * SLOT)
        exchanged.append(exchange_table("canary-bus", [summary], stored=stored, sequence=sequence))
        if sequence % _MESSAGES_OF_A_SEGMENT == 0 or sequence == slots:
            first = sequence - len(measured) + 1
            write_segments(storage, MEASUREMENT, measured, first, sequence, days)
            write_segments(storage, EXCHANGE, exchanged, first, sequence, days)
            measured, exchanged = [], []
        if slot % _SLOTS_OF_AN_INDEX == 0:
            as_of = START + (slot + 1) * SLOT
            snapshot = score_batches(register, batches, at=as_of, evidence_sequence=sequence)
            rows = [
                one for kind in IndicatorKind for window in policy.windows_days for one in snapshot.rows(kind, window)
            ]
            last[days.day_of(as_of)] = [one for one in rows if one.kind in AGENCY_KINDS]
            structures = network(register, snapshot)
            hidden = [replace(one, id=f"canary-{one.id}") for one in rows if one.kind not in AGENCY_KINDS]
            published = indicator_table(
                [*(one for one in rows if one.kind in AGENCY_KINDS), *hidden], stored=stored, sequence=sequence
            )
            write_segments(storage, INDICATOR, [published], sequence, sequence, days)
    sealer = Sealer(storage, SigningKey.generate("archive.example"), days)
    for day in sealer.due(START + slots * SLOT):
        sealer.seal(day, SealingContext(count=lambda day, table: link_days(policy, day, table)))
    keep_register(storage, register)
    return Published(str(folder / "dataset"), register, last, structures)


def _measured(register: Register, start: int, chance: random.Random) -> MeasurementColumns:
    rows = []
    for target in register.targets:
        reason = chance.choice(_REASONS)
        detail = "" if reason is Reason.OK else "canary-detail"
        rows.append(
            Measurement(target, "canary-vantage", start, start + 5.0, OUTCOME_OF[reason], reason, detail=detail)
        )
    return decode_columns(encode_measurements(rows))


def _exchanged(start: int) -> ExchangeSummary:
    return ExchangeSummary(
        client="CANARY/a/canary-client",
        service="CANARY/b/c/d/canary-service",
        slot_start=start,
        revision=1,
        count=9,
        ok=9,
        alias="canary-alias",
    )


def export(out: Path, archive: str, *words: str) -> str:
    """Run the command and return its output. Raises its PeyvandError."""
    done = CliRunner().invoke(app, ["opendata", "export", str(out), "--archive", archive, *words])
    if isinstance(done.exception, PeyvandError):
        raise done.exception
    assert done.exit_code == 0, (done.output, done.exception)
    return done.output


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> Published:
    return publish(tmp_path_factory.mktemp("published"))


@pytest.fixture(scope="session")
def exported(published: Published, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("open") / "data"
    assert "22 files of 2026-03-01 to 2026-03-03" in export(out, published.address)
    return out


def rows(folder: Path, table: str) -> list[dict[str, Any]]:
    """The rows of a table, read from its Parquet file."""
    found: list[dict[str, Any]] = pq.read_table(folder / f"{table}.parquet").to_pylist()
    return found


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}
