"""Open data exported from a dataset are complete, exact to the last bit, and hold nothing that must stay private."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from services.cli.opendata.files import write_table
from services.cli.opendata.rows import register_tables
from services.cli.opendata.tables import AGENCIES, TABLES
from services.core.model import Indicator, IndicatorKind, Reason
from services.dataset.days import EvidenceDays, list_segments, write_segments
from services.dataset.storage import LocalStorage
from services.dataset.tables import INDICATOR
from services.scorer.archived import ArchivedEvidence
from tests.support.cases.datasets.open_data import MARK, Published, contents, exported, published, rows

__all__ = ["exported", "published"]  # fixtures


def cells(folder: Path, table: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO((folder / f"{table}.csv").read_text("utf-8"), newline="")))


def test_the_last_numbers_of_each_day_are_there_to_the_last_bit(published: Published, exported: Path) -> None:
    """The export has the government, sectors and agencies in both roles, over every window."""
    found = {(row["day"], row["kind"], row["id"], row["window_days"]): row for row in rows(exported, "indicators")}
    expected = {
        (date.fromisoformat(day), one.kind.label, one.id, one.window_days): one
        for day, published_then in published.days.items()
        for one in published_then
    }
    assert len(published.days) == 3
    assert sum(one.point is not None and 0 < one.point < 1 for one in expected.values()) > 30
    assert found.keys() == expected.keys()
    for key, one in expected.items():
        assert_row_is(found[key], one)


def assert_row_is(row: dict[str, Any], one: Indicator) -> None:
    assert row["as_of"] == datetime.fromtimestamp(one.as_of, UTC)
    for name in ("point", "lower", "upper", "known_share", "links_required", "register_version", "evidence_sequence"):
        assert row[name] == getattr(one, name), name
    assert row["lost_not_answered"] == one.losses.not_answered
    assert (row["strict_lower"], row["interval_low"], row["rank_high"]) == (
        one.strict.lower if one.strict else None,
        one.interval.low if one.interval else None,
        one.rank_band.high if one.rank_band else None,
    )


def test_the_structure_is_that_behind_the_last_numbers(published: Published, exported: Path) -> None:
    """The structure computed again from the evidence is the same to the last bit."""
    found = {row["window_days"]: row for row in rows(exported, "structure")}
    for one in published.structures:
        row = found[one.window_days]
        for name in ("pair_coverage", "fragmentation", "provider_concentration", "resilience", "declared", "as_of"):
            value = row[name].timestamp() if name == "as_of" else row[name]
            assert value == getattr(one, name), name
        assert row["within_lower"] == one.within_sectors.lower
        islands: dict[int, list[str]] = {}
        for island in rows(exported, "islands"):
            if island["window_days"] == one.window_days:
                islands.setdefault(island["island"], []).append(island["agency"])
        assert tuple(tuple(islands[number]) for number in sorted(islands)) == one.islands
        costs = {
            row["provider"]: row["strict_loss"]
            for row in rows(exported, "providers")
            if row["window_days"] == one.window_days
        }
        assert costs == {role.provider: role.strict_loss for role in one.providers}


def test_the_register_is_there_without_targets(published: Published, exported: Path) -> None:
    """The export has agencies, services, required inquiries, and official rounds as stated."""
    assert {row["id"] for row in rows(exported, "agencies")} == set(published.register.agencies)
    assert {row["id"] for row in rows(exported, "services")} == set(published.register.services)
    links = {row["id"]: row for row in rows(exported, "links")}
    assert set(links) == set(published.register.links)
    assert links["transfer-civil"]["live_from"] == date(2026, 1, 1)
    assert links["transfer-customs"]["absent"]
    assert links["deed-tax"] | {"consumer": "land-registry", "provider": "tax-office", "slo": 0.99} == links["deed-tax"]
    assert [row["overall_percent"] for row in rows(exported, "rounds")] == [None, 50.0, 62.5]
    scores = {(row["round"], row["dimension"]): row["percent"] for row in rows(exported, "round-scores")}
    assert scores == {(3, "portal"): 80.0, (3, "integration"): 50.0, (2, "portal"): 64.0}


def test_nothing_else_is_in_any_byte(published: Published, exported: Path) -> None:
    """No target, parameter, probe, vantage, detail, reason, prober, exchange party, notice or objection is exported."""
    evidence = b"".join(path.read_bytes() for path in sorted(Path(published.address).rglob("*.parquet")))
    assert evidence.count(MARK.encode()) > 10, "the marks are not in the evidence"
    texts = contents(exported)
    for name in [name for name in texts if name.endswith(".parquet")]:
        file = pq.ParquetFile(exported / name)
        texts[f"{name}, rows"] = repr(file.read().to_pylist()).encode()
        texts[f"{name}, description"] = repr((file.metadata, file.schema, file.metadata.metadata)).encode()
    marks = [MARK, MARK.upper(), MARK.title(), "national_id", "198.51.100.77", "PROBE_"]
    reasons = [reason.name for reason in Reason if reason is not Reason.OK]
    for name, content in texts.items():
        text = content.decode("utf-8", "replace")
        assert [mark for mark in marks if mark in text] == [], name
        assert [reason for reason in reasons if re.search(rf"\b{reason}\b", text)] == [], name


def test_csv_and_parquet_say_the_same(exported: Path) -> None:
    """Every cell is the same, numbers to the last bit."""
    for table in TABLES:
        for text, row in zip(cells(exported, table.name), rows(exported, table.name), strict=True):
            for name, value in row.items():
                if isinstance(value, datetime):
                    assert datetime.fromisoformat(text[name]) == value
                elif isinstance(value, float):
                    assert float(text[name]) == value
                else:
                    assert text[name] == (
                        "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
                    )


def test_every_column_is_filled(exported: Path) -> None:
    """No column is empty in all rows, except those that this register leaves unset."""
    unset = {"agencies": {"until", "merged_into"}, "links": {"law", "article", "passed"}}
    unset["rounds"] = {"model", "overall_percent_more_than", "note", "sources"}
    for table in TABLES:
        found = rows(exported, table.name)
        empty = {column.name for column in table.columns if all(row[column.name] is None for row in found)}
        assert empty == unset.get(table.name, set()), table.name


def test_a_spreadsheet_computes_no_name(published: Published, tmp_path: Path) -> None:
    """CSV puts an apostrophe before a name that would be a formula; Parquet has the name unchanged."""
    name = '=HYPERLINK("https://evil.example")'
    agencies = {one.id: replace(one, name_en=name) for one in published.register.agencies.values()}
    tables = register_tables(replace(published.register, agencies=agencies))
    write_table(tmp_path, AGENCIES, tables["agencies"])
    assert {row["name_en"] for row in cells(tmp_path, "agencies")} == {f"'{name}"}
    assert {row["name_en"] for row in rows(tmp_path, "agencies")} == {name}


def test_numbers_published_twice_are_there_once(published: Published) -> None:
    """A repeated message gives the rows of its last copy only."""
    storage = LocalStorage(Path(published.address))
    archive, kinds = ArchivedEvidence(storage), (IndicatorKind.PROVIDER,)
    once = {day: table.num_rows for day, table in archive.published_by_day(kinds)}
    last = max(segment.last for segment in list_segments(storage, INDICATOR))
    (day, table) = list(archive.published_by_day(kinds))[-1]
    repeated = table.set_column(table.column_names.index("sequence"), "sequence", pa.array([last + 1] * len(table)))
    policy = published.register.policy
    days = EvidenceDays(policy.timezone, policy.grace_seconds, policy.slot_seconds)
    write_segments(storage, INDICATOR, [repeated.cast(INDICATOR.schema)], last + 1, last + 1, days)
    try:
        found = dict(ArchivedEvidence(storage).published_by_day(kinds))
        assert {day: table.num_rows for day, table in found.items()} == once
        assert set(found[day]["sequence"].to_pylist()) == {last + 1}
    finally:
        (written,) = [one for one in list_segments(storage, INDICATOR) if one.first == last + 1]
        storage.remove(written.name)
