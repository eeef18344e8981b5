"""Data, feeds and badges."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any, cast
from xml.etree import ElementTree as ET

import pytest

from services.client import connect
from services.console.pages import Content, Stream
from services.console.pages.data import as_csv
from services.console.pages.datasets import DATASETS
from services.register.directory import load_register
from tests.support.cases.api.blocks import blocks_of
from tests.support.console.case import Console
from tests.support.registers import ANNOUNCEMENTS, write_register
from tests.support.values.findings import finding


async def _whole(made: Content | Stream) -> str:
    return made.text if isinstance(made, Content) else "".join([piece async for piece in made.pieces])


_ATOM = {"a": "http://www.w3.org/2005/Atom"}


@pytest.mark.parametrize("dataset", DATASETS, ids=lambda one: one.name)
async def test_every_table_is_the_same_as_csv_and_json(console: Console, dataset: Any) -> None:
    """Rows and values are equal, and JSON says what it is and which edition it is from."""
    blocks = blocks_of(console.api.register)
    console.api.take("government", replace(blocks["government"], findings=(finding(),)))
    rows = list(csv.DictReader(io.StringIO((await console.get(f"/data/{dataset.name}.csv")).text)))
    answer = await console.get(f"/data/{dataset.name}.json")
    document = json.loads(answer.text)
    assert (document["name"], document["about"]) == (dataset.name, dataset.about)
    assert document["edition"]["evidence_sequence"] == 7
    assert len(rows) == len(document["rows"]) > 0
    for row, other in zip(rows, document["rows"], strict=True):
        for name, value in other.items():
            text = row[name].removeprefix("'")
            wanted = "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
            assert text == wanted


@pytest.mark.parametrize("dataset", DATASETS, ids=lambda one: one.name)
async def test_a_table_without_rows_has_its_header(console: Console, dataset: Any) -> None:
    """The header of an empty table is that of the same table with rows."""

    async def nothing(_: Any) -> list[Any]:
        return []

    header, *rows = (await console.get(f"/data/{dataset.name}.csv")).text.split("\r\n")
    assert rows
    assert (await _whole(await as_csv(replace(dataset, rows=nothing), cast(Any, None)))) == f"{header}\r\n"


async def test_rows_of_figures_carry_bounds_window_time_and_versions(console: Console) -> None:
    """No row has a number alone."""
    row = json.loads((await console.get("/data/agencies.json?side=consumer&window=28")).text)["rows"][0]
    assert row["kind"] == "consumer"
    assert row["window_days"] == 28
    assert {"lower", "upper", "as_of", "register_version", "method_version", "evidence_sequence"} <= row.keys()


async def test_tables_have_the_figures_of_the_page_of_islands(console: Console) -> None:
    """Islands, the cost of each failure and the index within and across sectors are in tables, as the api has them."""
    async with connect(console.api.address) as client:
        one = (await client.structure(0)).structure
    tables = {
        name: json.loads((await console.get(f"/data/{name}.json")).text)["rows"]
        for name in ("structure", "islands", "providers")
    }
    measures = {row["measure"]: row["value"] for row in tables["structure"]}
    assert measures["within_sectors_lower"] == one.within_sectors.lower
    assert measures["across_sectors_upper"] == one.across_sectors.upper
    assert measures["bus_strict_loss"] == one.bus_strict_loss
    islands = {(row["island"], row["agency"]) for row in tables["islands"]}
    assert islands == {(number, who) for number, island in enumerate(one.islands, 1) for who in island.agencies}
    assert {(row["provider"], row["links"], row["strict_loss"]) for row in tables["providers"]} == {
        (role.provider, role.links, role.strict_loss) for role in one.providers
    }
    page = (await console.get("/en/structure")).text
    for name in tables:
        assert f'href="/data/{name}.csv"' in page


async def test_history_is_of_whom_the_address_names(console: Console) -> None:
    """The government needs no id, the others do."""
    assert len(json.loads((await console.get("/data/history.json")).text)["rows"]) == 24
    assert (await console.get("/data/history.json?kind=provider&id=tax-office")).status_code == 200
    assert (await console.get("/data/history.json?kind=provider")).status_code == 404


async def test_feeds_are_well_formed_and_say_the_same(console: Console) -> None:
    """Atom, JSON Feed and iCalendar list the announcements with stable ids and absolute addresses."""
    for code, title in (("en", "Late answers"), ("fa", "پاسخ‌های دیر")):
        atom = ET.fromstring((await console.get(f"/feeds/{code}.atom")).content)
        entries = atom.findall("a:entry", _ATOM)
        feed = json.loads((await console.get(f"/feeds/{code}.json")).text)
        assert feed["version"] == "https://jsonfeed.org/version/1.1"
        ids = [one.findtext("a:id", namespaces=_ATOM) for one in entries]
        assert ids == [one["id"] for one in feed["items"]]
        assert ids[0] == f"http://console.test/{code}/news#late-answers"
        assert entries[0].findtext("a:title", namespaces=_ATOM) == title
        calendar = (await console.get(f"/feeds/{code}.ics")).text
        assert calendar.startswith("BEGIN:VCALENDAR\r\n")
        assert calendar.count("BEGIN:VEVENT") == 2
        assert all(len(line.encode()) <= 75 for line in calendar.split("\r\n"))
        unfolded = calendar.replace("\r\n ", "")
        assert f"SUMMARY:{title}\r\n" in unfolded


async def test_a_feed_is_well_formed_whatever_a_title_holds(empty_api: Any, make_console: Any, tmp_path: Path) -> None:
    """Characters that XML cannot hold, which a text that was pasted may bring, are left out."""
    title = '"Late\\uFFFE ans\\uFFFFw\\x0Bers"'
    hostile = ANNOUNCEMENTS.replace("title_en: Late answers", f"title_en: {title}")
    empty_api.take_register(load_register(write_register(tmp_path / "register", announcements_yaml=hostile)))
    empty_api.take_blocks()
    console = await make_console()
    atom = ET.fromstring((await console.get("/feeds/en.atom")).content)
    titles = [one.findtext("a:title", namespaces=_ATOM) for one in atom.findall("a:entry", _ATOM)]
    assert "Late answers" in titles
    assert "SUMMARY:Late answers\r\n" in (await console.get("/feeds/en.ics")).text


async def test_badges_show_index_and_bounds_and_may_be_framed(console: Console) -> None:
    """Badges are in either language, for agencies and above."""
    assert "/badge/provider/tax-office.svg?lang=fa" in (await console.get("/fa/agency/tax-office")).text
    answer = await console.get("/badge/provider/tax-office.svg?lang=fa")
    assert answer.headers["content-type"] == "image/svg+xml"
    assert "frame-ancestors *" in answer.headers["content-security-policy"]
    assert answer.headers["cross-origin-resource-policy"] == "cross-origin"
    again = await console.get("/badge/provider/tax-office.svg?lang=fa", if_none_match=answer.headers["etag"])
    assert again.status_code == 304
    # A browser takes the headers of this answer for those of the badge that it has.
    for name in ("content-security-policy", "cross-origin-resource-policy"):
        assert again.headers[name] == answer.headers[name]
    root = ET.fromstring(answer.content)
    assert "پیوند: " in (root.get("aria-label") or "")
    assert "تا" in (root.get("aria-label") or "")
    assert (await console.get("/badge/link/deed-tax.svg")).status_code == 404
    assert (await console.get("/badge/provider/nobody.svg")).status_code == 404
