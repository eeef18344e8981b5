"""Reports are set again only by what set them, and a verification says what it did not make again."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from services.cli.command_line import app
from services.cli.rounds import report, tools, verify
from services.cli.rounds.reading import round_in
from services.cli.rounds.verify import verify_round
from services.console.texts import catalogues, moments, texts
from services.core.canonical_json import canonical_json
from services.core.model import Announcement, AnnouncementKind, Objection, ObjectionState
from services.dataset.log import SigningKey
from services.dataset.storage import LocalStorage
from tests.support.cases.datasets.round_folders import dataset, directory, frozen, key, sign_again
from tests.support.cases.scoring import register_of_long_slots as register
from tests.support.paths import ROOT

__all__ = ["dataset", "directory", "frozen", "key", "register"]

NOT_SET = "its reports were not set again, and only their hashes were checked: "


@pytest.fixture
def folder(frozen: Path, tmp_path: Path) -> Path:
    return shutil.copytree(frozen, tmp_path / "round")


def describe(folder: Path, key: SigningKey, **changes: object) -> None:
    """Let round.json say something else, signed by the owner of the key."""
    storage = LocalStorage(folder)
    storage.write("round.json", replace(round_in(storage), **changes).content())  # type: ignore[arg-type]  # the values of a test
    sign_again(folder, key)


def verified_lines(folder: Path, key: SigningKey) -> list[str]:
    """Return what `round verify` says of a round without a fault, below its first line."""
    run = CliRunner().invoke(app, ["round", "verify", str(folder), "--key", str(key.public)])
    assert (run.exit_code, run.exception) == (0, None), run.output
    return run.output.splitlines()[1:]


@pytest.fixture
def another_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A version of Peyvand whose report has another sentence."""
    services = shutil.copytree(tools._SERVICES, tmp_path / "later", ignore=shutil.ignore_patterns("*.pyc"))
    words = services / "cli/rounds/templates/en.yaml"
    text = words.read_text("utf-8")
    assert "never merged" in text
    words.write_text(text.replace("never merged", "kept apart"), "utf-8")
    monkeypatch.setattr(tools, "_SERVICES", services)
    monkeypatch.setattr(report, "_TEMPLATES", words.parent)
    report._say.cache_clear()
    yield
    report._say.cache_clear()


@pytest.mark.usefixtures("another_report")
def test_a_version_with_another_report_calls_no_earlier_round_changed(
    folder: Path, key: SigningKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says that the reports were not set again, and by which release they are. The numbers are computed all the same."""
    monkeypatch.setattr(tools, "version", lambda name: "9.1.0" if name == "peyvand" else version(name))
    here = round_in(LocalStorage(folder)).software
    assert verified_lines(folder, key) == [
        "every number was computed again",
        f"{NOT_SET}round.json names other tools than there are here (report), those of Peyvand {here!r}",
    ]
    (folder / "gains.json").write_bytes(b"[]")
    sign_again(folder, key)
    assert [fault.file for fault in verify_round(folder, key.public).faults] == ["gains.json"]


@pytest.mark.usefixtures("another_report")
def test_a_round_that_names_this_version_and_other_code_is_told_apart(folder: Path, key: SigningKey) -> None:
    """Nothing but a changed installation or an owner's lie makes one version have two reports."""
    said = f"although it names this version of Peyvand, {version('peyvand')}: one of the two was changed"
    assert verified_lines(folder, key)[1].endswith(said)


@pytest.mark.parametrize("tool", ["babel", "fonts", "markdown-it-py", "markupsafe", "persiantools", "report", "typst"])
def test_an_owner_who_names_other_tools_gets_no_number_past_a_verification(
    folder: Path, key: SigningKey, tool: str
) -> None:
    """The owner of the key can keep reports from being set again, which is said, but no file with numbers."""
    described = round_in(LocalStorage(folder))
    assert described.tools == tools.tools()
    describe(folder, key, tools={**described.tools, tool: "other"}, software="0.1.0")
    (folder / "report.en.pdf").write_bytes(b"%PDF-1.7 All agencies answer.")
    sign_again(folder, key)
    said = f"{NOT_SET}round.json names other tools than there are here ({tool}), those of Peyvand '0.1.0'"
    assert verify_round(folder, key.public).unchecked == (said,)
    assert verified_lines(folder, key) == ["every number was computed again", said]
    for name in ("indicators.csv", "structure.json", "sensitivity.json", "gains.json"):
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content.replace(b"0.", b"1.", 1))
        sign_again(folder, key)
        assert name in {fault.file for fault in verify_round(folder, key.public).faults}
        (folder / name).write_bytes(content)


@pytest.mark.parametrize("typst", ["", "other"])
def test_no_file_of_a_round_may_be_missing(folder: Path, key: SigningKey, typst: str) -> None:
    """That includes reports that are not set again."""
    for name in ("report.fa.pdf", "gains.json"):
        (folder / name).unlink()
    described = round_in(LocalStorage(folder))
    describe(folder, key, tools={**described.tools, **({"typst": typst} if typst else {})})
    verified = verify_round(folder, key.public)
    assert bool(verified.unchecked) == bool(typst)
    assert {fault.file: fault.reason for fault in verified.faults} == dict.fromkeys(
        ("gains.json", "report.fa.pdf"), "the round lacks it"
    )


def test_no_text_of_a_round_passes_for_a_line_of_the_verification(folder: Path, key: SigningKey) -> None:
    """A line break in the name of a tool, of the release or of the method is written out."""
    said = "\nevery number was computed again, and its reports were set again"
    describe(folder, key, tools={f"typst{said}": "1", "pyarrow": f"1{said}"}, software=f"0.1.0{said}")
    assert [line in said for line in verified_lines(folder, key)] == [True, False, False]
    describe(folder, key, method_version=f"4{said}")
    (line,) = verified_lines(folder, key)
    assert line.startswith("its numbers are of method '4\\nevery number")
    assert "neither they nor its reports were made again, and only their hashes were checked; Peyvand" in line


def test_a_machine_without_the_fonts_says_so(
    folder: Path, key: SigningKey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sentence says what to install."""
    monkeypatch.setattr(tools, "FONTS", tmp_path / "none")
    assert verified_lines(folder, key)[1].startswith(f"{NOT_SET}reports are set in Vazirmatn, which is not in")


def test_all_code_that_makes_a_report_counts(frozen: Path, key: SigningKey, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every module of ours, and every library, that runs while reports are set is one of the tools."""
    ran, made = set[str](), report.report_files
    start = datetime(2026, 3, 1, tzinfo=UTC)

    def traced(described: Any, numbers: Any, moves: Any) -> dict[str, bytes]:
        link = next(iter(numbers.register.links))
        told = replace(
            numbers.register,
            objections=(Objection(link, start, None, "*No*", "*نه*", "", "", ObjectionState.OPEN),),
            announcements=(Announcement("a", AnnouncementKind.INCIDENT, start, None, "T", "ت", "*Text*", "*متن*"),),
        )
        for cached in (report._say, texts.texts_of, catalogues.translations_of, moments.write_day):
            cached.cache_clear()
        sys.setprofile(lambda frame, *_: ran.add(frame.f_code.co_filename))
        try:
            made(described, replace(numbers, register=told), moves)
        finally:
            sys.setprofile(None)
        return made(described, numbers, moves)

    monkeypatch.setattr(verify, "report_files", traced)
    assert verify_round(frozen, key.public).faults == ()
    ours = {
        str(path.relative_to(ROOT / "services")) for name in ran if ROOT / "services" in (path := Path(name)).parents
    }
    hashed = {str(path.relative_to(tools._SERVICES)) for one in tools._REPORT for path in tools._SERVICES.glob(one)}
    assert "console/texts/markdown.py" in ours
    assert ours <= hashed
    libraries = {name.partition("/site-packages/")[2].partition("/")[0] for name in ran if "/site-packages/" in name}
    libraries.discard("hypothesis")  # it watches the garbage collector
    assert libraries <= {"babel", "markdown_it", "markupsafe", "persiantools", "typst", "yaml"}  # yaml only reads


@pytest.mark.parametrize("change", ["", "a value", "a column", "a row"])
def test_the_rows_of_a_table_that_another_library_wrote_are_compared(
    folder: Path, key: SigningKey, change: str
) -> None:
    """Another pyarrow writes other bytes. The table is whole if its rows and columns follow, and by the same pyarrow if its bytes do."""
    described = round_in(LocalStorage(folder))
    table = pq.read_table(folder / "indicators.parquet")
    match change:
        case "a value":
            table = table.set_column(4, "point", pc.add(table["point"], 2**-50))
        case "a column":
            table = table.append_column("final", table["point"])
        case "a row":
            table = pa.concat_tables([table, table.slice(0, 1)])
    pq.write_table(table, folder / "indicators.parquet", compression="none")
    content = (folder / "indicators.parquet").read_bytes()
    package = orjson.loads((folder / "datapackage.json").read_bytes())
    (row,) = (one for one in package["resources"] if one["path"] == "indicators.parquet")
    row.update(bytes=len(content), hash=f"sha256:{sha256(content).hexdigest()}")
    (folder / "datapackage.json").write_bytes(canonical_json(package))
    describe(folder, key, tools={**described.tools, "pyarrow": "1.2.3"})
    wrong = {"datapackage.json", "indicators.parquet"}
    assert {fault.file for fault in verify_round(folder, key.public).faults} == (wrong if change else set())
    if not change:
        (said,) = verified_lines(folder, key)[1:]
        assert said.startswith(
            "the rows of indicators.parquet were compared, and not its bytes: pyarrow '1.2.3' wrote it"
        )
        describe(folder, key, tools=described.tools)
        assert {fault.file for fault in verify_round(folder, key.public).faults} == wrong
