"""Serves every figure as CSV and JSON at a stable address, and the page that lists them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial

from services.console.pages.datasets import DATASETS, Dataset
from services.console.pages.page import Content, File, Page, Stream, Visit
from services.console.queries import Export, read_export
from services.console.texts import Row, iso
from services.core.spreadsheets import cell, csv_text


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


async def as_csv(dataset: Dataset, visit: Visit) -> Content | Stream:
    """Return a table as CSV (RFC 4180): a header, then one row per line."""
    return await _body(dataset, "text/csv; charset=utf-8; header=present", _csv(dataset, visit))


async def as_json(dataset: Dataset, visit: Visit) -> Content | Stream:
    """Return a table as JSON, with its description and the edition that it was made from."""
    return await _body(dataset, "application/json", _json(dataset, visit))


async def _body(dataset: Dataset, media_type: str, pieces: AsyncIterator[str]) -> Content | Stream:
    if dataset.is_long:
        return Stream(media_type, pieces)
    return Content(media_type, "".join([piece async for piece in pieces]))


async def _batches(dataset: Dataset, visit: Visit) -> AsyncIterator[list[Row]]:
    found = dataset.rows(visit)
    if isinstance(found, AsyncIterator):
        async for batch in found:
            yield batch
    else:
        yield await found


async def _csv(dataset: Dataset, visit: Visit) -> AsyncIterator[str]:
    header = [dataset.columns]
    async for rows in _batches(dataset, visit):
        cells = ([cell(row.get(name)) for name in dataset.columns] for row in rows)
        yield csv_text([*header, *cells], end="\r\n")
        header = []


async def _json(dataset: Dataset, visit: Visit) -> AsyncIterator[str]:
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
    }
    before = json.dumps(document, ensure_ascii=False, indent=1).removesuffix("\n}") + ',\n "rows": ['
    async for rows in _batches(dataset, visit):
        lines = []
        for row in rows:
            lines.append(f"{before}\n  {json.dumps(row, ensure_ascii=False, allow_nan=False)}")
            before = ","
        yield "".join(lines)
    yield f"{'' if before == ',' else before}\n ]\n}}\n"


PAGE = Page("data", "/data", gather)

FILES = tuple(
    File(
        f"{dataset.name}.{suffix}",
        f"/data/{dataset.name}.{suffix}",
        partial(made, dataset),
        dataset.is_public,
        is_long=dataset.is_long,
    )
    for dataset in DATASETS
    for suffix, made in (("csv", as_csv), ("json", as_json))
)
