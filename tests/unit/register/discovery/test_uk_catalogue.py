"""Registers are proposed from a public catalogue."""

from __future__ import annotations

import csv
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from services.core.errors import InputError
from services.register.directory.load import load_register
from services.register.discovery.proposal import write_files
from services.register.discovery.uk_catalogue import import_uk_api_catalogue

_HEADER = "dateAdded,dateUpdated,url,name,description,documentation,license,areaServed,startDate,endDate,provider\n"


@pytest.fixture
def catalogue(data_file: Callable[[str], Path]) -> Path:
    """Return the real catalogue."""
    return data_file("uk_api_catalogue.csv")


def test_the_real_catalogue_loads_clean(catalogue: Path, tmp_path: Path) -> None:
    """Every provider is an agency, every API a service, and every usable address one endpoint."""
    with catalogue.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    found = import_uk_api_catalogue(catalogue, date(2026, 1, 1))
    write_files(found.files, tmp_path / "uk")
    register = load_register(tmp_path / "uk")

    assert len(register.agencies) == len({row["provider"] for row in rows}) == 33
    assert len(register.services) == len(rows) == 231
    assert register.links == {}
    usable = {row["url"] for row in rows if row["url"] and "{" not in row["url"]}
    assert {endpoint.target for endpoint in register.endpoints.values()} == usable
    assert len(register.endpoints) == len(usable) == 189
    assert register.agencies["insolvency-service"].name_en == "Insolvency Service"
    assert register.agencies["nhs-digital"].sector == "health"
    shared = register.endpoints["hm-revenue-customs-api-service-hmrc-gov-uk"]
    assert (shared.agency, shared.service) == ("hm-revenue-customs", None)


def test_what_is_left_out_is_listed_with_its_line(catalogue: Path) -> None:
    """APIs without an address of their own are listed with their line, name and reason."""
    found = import_uk_api_catalogue(catalogue, date(2026, 1, 1))
    reasons = [str(item).removeprefix(f"{catalogue.parent}/") for item in found.left_out]
    assert sum("has no URL" in reason for reason in reasons) == 11
    assert sum("shares its URL with 29 others" in reason for reason in reasons) == 30
    assert [reason for reason in reasons if "its URL needs" in reason] == [
        "uk_api_catalogue.csv:116: Official Copy Document Availability V2: its URL needs title_number, which the catalogue does not give: a service without an endpoint",
        "uk_api_catalogue.csv:128: Estimated Completion Date: its URL needs application_reference, which the catalogue does not give: a service without an endpoint",
    ]
    assert reasons[-1] == (
        "uk_api_organisations.csv:24: Home Office: has no API in the catalogue, so it is no agency here"
    )
    assert len(reasons) == 11 + 30 + 2 + 1


def test_names_without_an_organisation_file(tmp_path: Path) -> None:
    """Without organisations an agency's name comes from its id. Equal API names get own ids, and `$` is kept."""
    file = tmp_path / "c.csv"
    rows = [",,https://a.example/$x,Café API,,,,,,,Some-Agency", ",,ftp://b,Cafe  api,,,,,,,other"]
    file.write_text(_HEADER + "\n".join(rows) + "\n", encoding="utf-8")
    found = import_uk_api_catalogue(file, date(2026, 1, 1))
    write_files(found.files, tmp_path / "out")
    register = load_register(tmp_path / "out")
    assert [agency.name_en for agency in register.agencies.values()] == ["Other", "Some Agency"]
    assert list(register.services) == ["cafe-api", "other-cafe-api"]
    assert register.endpoints["cafe-api"].target == "https://a.example/$$x"
    assert [item.line for item in found.left_out] == [3]


def test_ids_are_never_empty_or_equal(tmp_path: Path) -> None:
    """Names that make the same id or none, and addresses that do, have ids of their own."""
    file = tmp_path / "c.csv"
    addresses = ["https://a/b", "https://a/b", "https://a-b", "https://a-b", "", "https://c", "https://d", "https://e"]
    names = ["One", "Two", "Three", "Four", "tax a b", "خدمت", "سرویس", "خدمت"]
    rows = [f",,{url},{name},,,,,,,tax" for url, name in zip(addresses, names, strict=True)]
    file.write_text(_HEADER + "\n".join(rows) + "\n", encoding="utf-8")
    write_files(import_uk_api_catalogue(file, date(2026, 1, 1)).files, tmp_path / "out")
    register = load_register(tmp_path / "out")
    assert list(register.services) == ["four", "one", "tax", "tax-2", "tax-3", "tax-a-b", "three", "two"]
    assert list(register.endpoints) == ["tax", "tax-2", "tax-3", "tax-a-b-2", "tax-a-b-3"]


def test_a_bad_catalogue_is_refused(tmp_path: Path) -> None:
    """Missing columns and names are faults with their place."""
    file = tmp_path / "c.csv"
    file.write_text("url,name\nhttps://a,\n", encoding="utf-8")
    with pytest.raises(InputError) as refused:
        import_uk_api_catalogue(file, date(2026, 1, 1))
    assert len(refused.value.faults) == 9
    file.write_text(_HEADER + ",,https://a,,,,,,,,x\n,,https://b,B,,,,,,,وزارت\n", encoding="utf-8")
    with pytest.raises(InputError) as refused:
        import_uk_api_catalogue(file, date(2026, 1, 1))
    assert [str(fault) for fault in refused.value.faults] == [
        f"{file}:2:13: name: is empty",
        f"{file}:3:21: provider: `وزارت` makes no id of an agency: write it with Latin letters or digits",
    ]


def test_a_directory_in_use_is_left_alone(tmp_path: Path) -> None:
    """An import never overwrites a register."""
    (tmp_path / "links.csv").write_text("mine")
    with pytest.raises(InputError, match="is refused"):
        write_files({"links.csv": "new"}, tmp_path)
    assert (tmp_path / "links.csv").read_text() == "mine"
