"""Serves every figure as CSV and JSON at a stable address, and the page that lists them."""

from __future__ import annotations

import asyncio
import csv
import io
import json
from dataclasses import dataclass
from functools import partial

from services.console.pages.datasets import DATASETS, Dataset
from services.console.pages.page import Content, File, Page, Visit
from services.console.queries import Export, read_export
from services.console.texts import Row, iso
from services.core.spreadsheets import cell


@dataclass(frozen=True, slots=True)
class DataView:
    """The tables that the reader may have, and the export of open data."""

    datasets: tuple[Dataset, ...]
    export: Export | None


async def gather(visit: Visit) -> DataView:
    """Return the tables that the reader may have, and the export."""
    tables = tuple(one for one in DATASETS if one.is_public or visit.sees_links)
    export = None if visit.open_data is None else await asyncio.to_thread(read_export, visit.open_data)
    return DataView(tables, export)


async def as_csv(dataset: Dataset, visit: Visit) -> Content:
    """Return a table as CSV (RFC 4180): a header, then one row per line."""
    rows = await dataset.rows(visit)
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, dataset.columns, lineterminator="\r\n")
    writer.writeheader()
    writer.writerows({name: cell(value) for name, value in row.items()} for row in rows)
    return Content("text/csv; charset=utf-8; header=present", text.getvalue())


async def as_json(dataset: Dataset, visit: Visit) -> Content:
    """Return a table as JSON, with its description and the edition that it was made from."""
    rows: list[Row] = await dataset.rows(visit)
    edition = visit.edition
    document = {
        "name": dataset.name,
        "about": dataset.about,
        "edition": {
            "as_of": iso(edition.as_of),
            "register_version": edition.register_version,
            "probe_version": edition.probe_version,
            "method_version": edition.method_version,
            "evidence_sequence": edition.evidence_sequence,
        },
        "rows": rows,
    }
    return Content("application/json", json.dumps(document, ensure_ascii=False, indent=1, allow_nan=False))


PAGE = Page("data", "/data", gather)

FILES = tuple(
    File(f"{dataset.name}.{suffix}", f"/data/{dataset.name}.{suffix}", partial(made, dataset), dataset.is_public)
    for dataset in DATASETS
    for suffix, made in (("csv", as_csv), ("json", as_json))
)
