"""Registers are proposed from lists of addresses."""

from __future__ import annotations

import csv
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from services.core.errors import InputError
from services.register.directory.load import load_register
from services.register.discovery.endpoint_list import import_endpoints
from services.register.discovery.importers import IMPORTERS
from services.register.discovery.proposal import write_files

DAY = date(2026, 1, 1)


def listed(folder: Path, text: str) -> Path:
    path = folder / "list.csv"
    path.write_text(text, "utf-8")
    return path


def test_a_real_list_loads_clean(data_file: Callable[[str], Path], tmp_path: Path) -> None:
    """Every website of the directory is one endpoint of its agency. Rows left out are listed with their line."""
    path = data_file("us_website_directory.csv")
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    found = import_endpoints(path, DAY, {"target": "domain"})
    write_files(found.files, tmp_path / "us")
    register = load_register(tmp_path / "us")
    assert len(register.endpoints) + len(found.left_out) == len(rows) == 7049
    assert len(register.endpoints) > 7000
    assert {agency.name_en for agency in register.agencies.values()} <= {row["agency"] for row in rows}
    assert register.endpoints["recreation-gov"].target == "https://recreation.gov/"
    assert not register.links


def test_rows_that_cannot_be_used_are_left_out_with_the_reason(tmp_path: Path) -> None:
    """Persian names, equal ids and `$` are kept. Empty, repeated and impossible addresses are listed."""
    path = listed(
        tmp_path,
        "Site,Owner,Part,More\n"
        "a.example,ثبت احوال,population,1\n"
        "https://a.example/$x,Tax Office,,2\n"
        "a.example,Tax Office,,3\n"
        ",Tax Office,,4\n"
        "b.example,,,5\n"
        "ftp://c.example/,tax office,,6\n"
        "https://d.example/,tax-office,,7\n",
    )
    found = import_endpoints(path, DAY, {"target": "Site", "agency": "Owner", "sector": "Part"})
    write_files(found.files, tmp_path / "out")
    register = load_register(tmp_path / "out")
    assert {agency.id: (agency.name_en, agency.name_fa, agency.sector) for agency in register.agencies.values()} == {
        "agency": ("", "ثبت احوال", "population"),
        "tax-office": ("Tax Office", "", "government"),
        "tax-office-2": ("tax-office", "", "government"),
    }
    assert {name: endpoint.target for name, endpoint in register.endpoints.items()} == {
        "a-example": "https://a.example/",
        "a-example-x": "https://a.example/$$x",
        "d-example": "https://d.example/",
    }
    assert [(entry.line, entry.reason.partition(": ")[2]) for entry in found.left_out[:3]] == [
        (4, "is the address of line 2 already"),
        (5, "has no address"),
        (6, "has no agency"),
    ]
    assert found.left_out[3].line == 7


def test_columns_are_named_as_in_the_file(tmp_path: Path) -> None:
    """A column may be named in the file's own letters, Arabic or Persian."""
    path = listed(tmp_path, "نشاني,دستگاه\na.example,Tax Office\n")
    for name in ("نشاني", "نشانی"):
        found = import_endpoints(path, DAY, {"target": name, "agency": "دستگاه"})
        assert "https://a.example/" in found.files["endpoints.csv"]


def test_a_list_with_other_columns_is_refused(tmp_path: Path) -> None:
    """Missing and meaningless columns are faults, all at once. Other importers take no columns."""
    path = listed(tmp_path, "domain,agency\na.example,A\n")
    with pytest.raises(InputError) as refused:
        import_endpoints(path, DAY, {"url": "domain"})
    assert [fault.reason for fault in refused.value.faults] == [
        "`url` is not read of a list of endpoints: name target, agency, sector",
        "column `target` is missing",
    ]
    with pytest.raises(InputError) as refused:
        IMPORTERS["xroad"]([path], DAY, {"target": "domain"})
    assert "only `endpoints` takes --column" in refused.value.report()
