"""The package around the exported tables: description, catalogue, explanation, and the command that writes it."""

from __future__ import annotations

import copy
import json
import shlex
from datetime import date
from hashlib import sha256
from pathlib import Path

import pytest
from typer.testing import CliRunner

from services.cli.command_line import app
from services.cli.opendata.tables import TABLES
from services.core.errors import SettingsError, StateError
from tests.support.cases.datasets.open_data import (
    Published,
    contents,
    export,
    exported,
    publish,
    published,
    rows,
    write_marked_register,
)
from tests.support.doc_blocks import block

__all__ = ["exported", "published"]  # fixtures

TITLES = [table.name for table in TABLES]


def test_the_package_is_valid(exported: Path) -> None:
    """Frictionless checks the description, and hashes, sizes, types, keys and references of every file."""
    from frictionless import Package  # noqa: PLC0415  # every worker collects this, and one runs it

    described = json.loads((exported / "datapackage.json").read_text("utf-8"))
    assert described["$schema"] == "https://datapackage.org/profiles/2.0/datapackage.json"
    for resource in described["resources"]:
        content = (exported / resource["path"]).read_bytes()
        assert (resource["hash"], resource["bytes"]) == (f"sha256:{sha256(content).hexdigest()}", len(content))
    read = copy.deepcopy(described)
    for resource in read["resources"]:
        resource.setdefault("type", "file")  # Frictionless reads Parquet only with pandas
    report = Package.from_descriptor(read, basepath=str(exported)).validate()
    assert report.valid, report.flatten(["name", "type", "note"])
    assert [task.stats["rows"] for task in report.tasks if task.name == "links"] == [8]
    assert described["licenses"] == [{"path": "https://licence.example/by"}]
    assert described["contributors"][0]["title_fa"] == "دیوان محاسبات"


def test_the_catalogue_has_what_dcat_ap_asks_for(exported: Path) -> None:
    """It has titles in both languages, publisher, licence, time, place, and each file's type, size and SHA-256."""
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
    """The text in each language explains every column."""
    for language, publisher in (("en", "Court of Audit"), ("fa", "دیوان محاسبات")):
        text = (exported / f"README.{language}.md").read_text("utf-8")
        assert publisher in text
        for table in TABLES:
            assert all(f"| `{column.name}` | {getattr(column, language)} |" in text for column in table.columns)


def test_the_same_input_gives_the_same_bytes(published: Published, exported: Path, tmp_path: Path) -> None:
    """The bytes are the same in another folder and in place of an older export."""
    before = contents(exported)
    export(tmp_path / "again", published.address)
    assert contents(tmp_path / "again") == before
    export(tmp_path / "again", published.address, "--to", "2026-03-01")
    assert contents(tmp_path / "again") != before
    export(tmp_path / "again", published.address)
    assert contents(tmp_path / "again") == before


def test_the_page_s_command_runs(published: Published, tmp_path: Path) -> None:
    """The command works as printed, with the folders of this test in place of the page's."""
    names = {"/srv/open-data": str(tmp_path), "/var/lib/peyvand/archive/dataset": published.address}
    words = [names.get(word, word) for word in shlex.split(block("docs/opendata.md: 1. Export 1").text)]
    done = CliRunner().invoke(app, words[1:])
    assert (words[0], done.exit_code) == ("peyvand", 0), done.output
    assert (tmp_path / "datapackage.json").exists()


def test_a_span_of_days(published: Published, tmp_path: Path) -> None:
    """Only the days of the span are exported, with the structure at its end. Without a number there is no export."""
    assert "of 2026-03-02 to 2026-03-02" in export(
        tmp_path / "a", published.address, "--from", "2026-03-02", "--to", "2026-03-02"
    )
    assert {row["day"] for row in rows(tmp_path / "a", "indicators")} == {date(2026, 3, 2)}
    last = published.days["2026-03-02"][0]
    assert {row["as_of"].timestamp() for row in rows(tmp_path / "a", "structure")} == {last.as_of}
    with pytest.raises(SettingsError, match="no number published on those days"):
        export(tmp_path / "b", published.address, "--from", "2027-01-01")
    with pytest.raises(SettingsError, match="no number published yet: name the folder of a dataset"):
        export(tmp_path / "b", str(tmp_path))
    assert not (tmp_path / "b").exists()
    with pytest.raises(SettingsError, match="is before --from"):
        export(tmp_path / "b", published.address, "--from", "2026-03-02", "--to", "2026-03-01")


def test_a_register_may_state_more(published: Published, tmp_path: Path) -> None:
    """The licence comes from the register directory that is given, and another denominator is refused."""
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
    """Nothing is written into a folder that holds files of something else."""
    (tmp_path / "letter.txt").write_text("dear reader")
    with pytest.raises(SettingsError, match=r"letter\.txt, which is no file of an export"):
        export(tmp_path, published.address)
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]


def test_damaged_evidence_is_not_exported(tmp_path: Path) -> None:
    """A changed sealed file ends the export, and nothing is written."""
    published = publish(tmp_path, slots=60)
    (sealed,) = (Path(published.address) / "sealed/kind=indicator").rglob("*.parquet")
    sealed.write_bytes(sealed.read_bytes().replace(b"c", b"d", 1))
    with pytest.raises(StateError, match="are not those that were sealed"):
        export(tmp_path / "out", published.address)
    assert not (tmp_path / "out").exists()
