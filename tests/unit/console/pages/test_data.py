"""Every figure as CSV and JSON."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from typing import Any, cast

import pytest

from services.client import connect
from services.console.pages import Content, Stream
from services.console.pages.data import as_csv
from services.console.pages.datasets import DATASETS
from tests.support.cases.api.blocks import blocks_of
from tests.support.console.case import Console
from tests.support.values.findings import finding


async def _whole(made: Content | Stream) -> str:
    return made.text if isinstance(made, Content) else "".join([piece async for piece in made.pieces])


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


async def test_announcements_have_what_the_page_of_news_shows(console: Console) -> None:
    """Kind, agencies and links of an announcement are in its row, and each update has a row of its own, the oldest first."""
    late, upgrade = sorted(
        json.loads((await console.get("/data/announcements.json")).text)["rows"], key=lambda row: row["kind"]
    )
    assert (late["id"], late["kind"], late["links"]) == ("late-answers", "incident", "")
    assert (upgrade["kind"], upgrade["agencies"], upgrade["links"]) == (
        "maintenance",
        "civil-registry tax-office",
        "deed-tax",
    )
    assert json.loads((await console.get("/data/updates.json")).text)["rows"] == [
        {"announcement": "bus-upgrade", "time": time, "text_en": english, "text_fa": persian}
        for time, english, persian in (
            ("2026-03-01T08:00:00Z", "Half is done.", "نیمی انجام شد."),
            ("2026-03-01T09:00:00Z", "Done.", "انجام شد."),
        )
    ]


async def test_history_is_of_whom_the_address_names(console: Console) -> None:
    """The government needs no id, the others do."""
    assert len(json.loads((await console.get("/data/history.json")).text)["rows"]) == 24
    assert (await console.get("/data/history.json?kind=provider&id=tax-office")).status_code == 200
    assert (await console.get("/data/history.json?kind=provider")).status_code == 404
