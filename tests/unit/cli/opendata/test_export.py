"""Open data out of a dataset: complete, to the last bit, the same twice, and without anything that is nobody's business."""

from __future__ import annotations

import copy
import csv
import io
import json
import re
import shlex
from dataclasses import replace
from datetime import UTC, date, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from frictionless import Package
from typer.testing import CliRunner

from services.cli.__main__ import app
from services.cli.opendata.files import write_table
from services.cli.opendata.rows import register_tables
from services.cli.opendata.tables import AGENCIES, TABLES
from services.core.errors import PeyvandError, SettingsError, StateError
from services.core.model import Indicator, IndicatorKind, Reason
from services.dataset.days import EvidenceDays, list_segments, write_segments
from services.dataset.storage import LocalStorage
from services.dataset.tables import INDICATOR
from services.scorer.archived import ArchivedEvidence
from tests.support.cases.open_data import MARK, Published, publish, write_marked_register
from tests.support.console.pages import block

TITLES = [table.name for table in TABLES]


def export(out: Path, archive: str, *words: str) -> str:
    """What the command prints; its error is raised."""
    done = CliRunner().invoke(app, ["opendata", "export", str(out), "--archive", archive, *words])
    if isinstance(done.exception, PeyvandError):
        raise done.exception
    assert done.exit_code == 0, (done.output, done.exception)
    return done.output


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Published:
    return publish(tmp_path_factory.mktemp("published"))


@pytest.fixture(scope="module")
def exported(published: Published, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("open") / "data"
    assert "22 files of 2026-03-01 to 2026-03-03" in export(out, published.address)
    return out


def rows(folder: Path, table: str) -> list[dict[str, Any]]:
    """The rows of a table, read from its Parquet file."""
    found: list[dict[str, Any]] = pq.read_table(folder / f"{table}.parquet").to_pylist()
    return found


def cells(folder: Path, table: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO((folder / f"{table}.csv").read_text("utf-8"), newline="")))


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_the_last_numbers_of_each_day_are_there_to_the_last_bit(published: Published, exported: Path) -> None:
    """Of the government, sectors and agencies in both roles, over every window."""
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
    """Computed again from the evidence, it is the same to the last bit."""
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
    """Agencies, services, required inquiries, and official rounds as stated."""
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
    """No target, parameter, probe, vantage, detail, reason, prober, party of an exchange, notice or objection."""
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
    """Every cell, numbers to the last bit."""
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
    """None is empty in all rows but those that this register leaves unset."""
    unset = {"agencies": {"until", "merged_into"}, "links": {"law", "article", "passed"}}
    unset["rounds"] = {"model", "overall_percent_more_than", "note", "sources"}
    for table in TABLES:
        found = rows(exported, table.name)
        empty = {column.name for column in table.columns if all(row[column.name] is None for row in found)}
        assert empty == unset.get(table.name, set()), table.name


def test_a_spreadsheet_computes_no_name(published: Published, tmp_path: Path) -> None:
    """In CSV an apostrophe stands before what would be a formula; Parquet has the name as it is."""
    name = '=HYPERLINK("https://evil.example")'
    agencies = {one.id: replace(one, name_en=name) for one in published.register.agencies.values()}
    tables = register_tables(replace(published.register, agencies=agencies))
    write_table(tmp_path, AGENCIES, tables["agencies"])
    assert {row["name_en"] for row in cells(tmp_path, "agencies")} == {f"'{name}"}
    assert {row["name_en"] for row in rows(tmp_path, "agencies")} == {name}


def test_numbers_published_twice_are_there_once(published: Published) -> None:
    """A message that was repeated brings the rows of its last copy."""
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


def test_the_package_is_valid(exported: Path) -> None:
    """Frictionless checks the description, and hashes, sizes, types, keys and references of every file."""
    described = json.loads((exported / "datapackage.json").read_text("utf-8"))
    assert described["$schema"] == "https://datapackage.org/profiles/2.0/datapackage.json"
    for resource in described["resources"]:
        content = (exported / resource["path"]).read_bytes()
        assert (resource["hash"], resource["bytes"]) == (f"sha256:{sha256(content).hexdigest()}", len(content))
    read = copy.deepcopy(described)
    for resource in read["resources"]:
        resource.setdefault("type", "file")  # it reads Parquet by pandas only
    report = Package.from_descriptor(read, basepath=str(exported)).validate()
    assert report.valid, report.flatten(["name", "type", "note"])
    assert [task.stats["rows"] for task in report.tasks if task.name == "links"] == [8]
    assert described["licenses"] == [{"path": "https://licence.example/by"}]
    assert described["contributors"][0]["title_fa"] == "دیوان محاسبات"


def test_the_catalogue_has_what_dcat_ap_asks_for(exported: Path) -> None:
    """Titles in both languages, publisher, licence, time, place, and each file with type, size and SHA-256."""
    catalogue = json.loads((exported / "dcat.jsonld").read_text("utf-8"))
    assert {text["@language"] for text in catalogue["dct:title"]} == {"fa", "en"}
    assert catalogue["dct:publisher"]["foaf:name"][1] == {"@value": "Court of Audit", "@language": "en"}
    datasets = catalogue["dcat:dataset"]
    assert [one["dct:identifier"] for one in datasets] == TITLES
    for one in datasets:
        assert {text["@language"] for key in ("dct:title", "dct:description") for text in one[key]} == {"fa", "en"}
        assert one["dct:temporal"]["dcat:startDate"] == {"@value": "2026-03-01", "@type": "xsd:date"}
        assert one["dct:temporal"]["dcat:endDate"]["@value"] == "2026-03-03"
        assert one["dct:spatial"]["skos:prefLabel"][0]["@value"] == "کشور"
        assert len(one["dcat:distribution"]) == 2
        for file in one["dcat:distribution"]:
            content = (exported / file["dct:title"]).read_bytes()
            assert file["dcat:downloadURL"]["@id"] == f"https://peyvand.example/data/export/{file['dct:title']}"
            assert file["dct:license"]["@id"] == "https://licence.example/by"
            assert file["spdx:checksum"]["spdx:checksumValue"]["@value"] == sha256(content).hexdigest()
            assert file["dcat:byteSize"]["@value"] == str(len(content))


def test_people_read_it_in_both_languages(exported: Path) -> None:
    """Every column is explained."""
    for language, publisher in (("en", "Court of Audit"), ("fa", "دیوان محاسبات")):
        text = (exported / f"README.{language}.md").read_text("utf-8")
        assert publisher in text
        for table in TABLES:
            assert all(f"| `{column.name}` | {getattr(column, language)} |" in text for column in table.columns)


def test_the_same_input_gives_the_same_bytes(published: Published, exported: Path, tmp_path: Path) -> None:
    """In another folder, and in place of an older export."""
    before = contents(exported)
    export(tmp_path / "again", published.address)
    assert contents(tmp_path / "again") == before
    export(tmp_path / "again", published.address, "--to", "2026-03-01")
    assert contents(tmp_path / "again") != before
    export(tmp_path / "again", published.address)
    assert contents(tmp_path / "again") == before


def test_the_page_s_command_runs(published: Published, tmp_path: Path) -> None:
    """With the folders of this test in place of the page's."""
    names = {"/srv/open-data": str(tmp_path), "/var/lib/peyvand/archive/dataset": published.address}
    words = [names.get(word, word) for word in shlex.split(block("docs/opendata.md: 1. Export 1").text)]
    done = CliRunner().invoke(app, words[1:])
    assert (words[0], done.exit_code) == ("peyvand", 0), done.output
    assert (tmp_path / "datapackage.json").exists()


def test_a_span_of_days(published: Published, tmp_path: Path) -> None:
    """Only its days are exported, with the structure at its end."""
    assert "of 2026-03-02 to 2026-03-02" in export(
        tmp_path / "a", published.address, "--from", "2026-03-02", "--to", "2026-03-02"
    )
    assert {row["day"] for row in rows(tmp_path / "a", "indicators")} == {date(2026, 3, 2)}
    last = published.days["2026-03-02"][0]
    assert {row["as_of"].timestamp() for row in rows(tmp_path / "a", "structure")} == {last.as_of}
    with pytest.raises(SettingsError, match="no number published on those days"):
        export(tmp_path / "b", published.address, "--from", "2027-01-01")
    assert not (tmp_path / "b").exists()
    with pytest.raises(SettingsError, match="is before --from"):
        export(tmp_path / "b", published.address, "--from", "2026-03-02", "--to", "2026-03-01")


def test_a_register_may_state_more(published: Published, tmp_path: Path) -> None:
    """Another licence is taken from a register directory, another denominator is refused."""
    folder = write_marked_register(tmp_path / "register")
    policy = folder / "policy.yaml"
    policy.write_text(policy.read_text("utf-8").partition("open_data")[0], "utf-8")
    assert "no licence is stated" in export(tmp_path / "a", published.address, "--register", str(folder))
    described = json.loads((tmp_path / "a" / "datapackage.json").read_text("utf-8"))
    assert "licenses" not in described
    assert described["contributors"][0]["title"] == "Country"
    catalogue = json.loads((tmp_path / "a" / "dcat.jsonld").read_text("utf-8"))
    assert catalogue["dcat:dataset"][0]["dcat:distribution"][0]["dcat:downloadURL"]["@id"] == "indicators.csv"
    services = folder / "services.csv"
    services.write_text(services.read_text("utf-8").replace("own,", "own,3"), "utf-8")
    with pytest.raises(SettingsError, match="name a register that requires the same inquiries"):
        export(tmp_path / "b", published.address, "--register", str(folder))


def test_a_folder_of_something_else_is_left_alone(published: Published, tmp_path: Path) -> None:
    """Nothing is written beside files that are no export's."""
    (tmp_path / "letter.txt").write_text("dear reader")
    with pytest.raises(SettingsError, match=r"letter\.txt, which is no file of an export"):
        export(tmp_path, published.address)
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]


def test_damaged_evidence_is_not_exported(tmp_path: Path) -> None:
    """A sealed file that was changed ends the export, and nothing is written."""
    published = publish(tmp_path, slots=60)
    (sealed,) = (Path(published.address) / "sealed/kind=indicator").rglob("*.parquet")
    sealed.write_bytes(sealed.read_bytes().replace(b"c", b"d", 1))
    with pytest.raises(StateError, match="are not those that were sealed"):
        export(tmp_path / "out", published.address)
    assert not (tmp_path / "out").exists()
