"""Measurements as rows of a table, and back as the columns that are scored."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from services.core.model import FACTS, MeasurementColumns, Outcome, Reason, RegisterVersions, Target
from services.dataset.tables.rows import MICROS, UNSET, codes_of, texts_of
from services.dataset.tables.schemas import MEASUREMENT, MOMENT, OUTCOMES, REASONS

SCORED: Final = (
    *("link", "endpoint", "vantage", "slot_start", "time", "outcome", "reason"),
    *("latency", "data_age", "stored", "sequence"),
)
"""The columns that ``measurements_of`` needs."""


@dataclass(frozen=True, slots=True, eq=False)
class StoredMeasurements:
    """The n rows of one vantage, with the ``sequence`` (n,) of their messages.

    ``stored`` (n,) is when the stream stored these messages, in epoch seconds.
    """

    columns: MeasurementColumns
    stored: NDArray[np.float64]
    sequence: NDArray[np.int64]


def measurement_table(columns: MeasurementColumns, *, stored: float, sequence: int) -> pa.Table:
    """Return one batch, which must have facts, as rows; ``stored`` is when the stream stored it, in epoch seconds."""
    facts = columns.facts
    if facts is None:
        raise ValueError("a batch of measurements without its facts")
    rows = len(columns)
    names = pa.array([target.id for target in columns.targets], pa.string())
    is_endpoint = np.array([target.endpoint for target in columns.targets], bool)[columns.target]
    numbers = dict(zip(FACTS, facts.numbers, strict=True))
    expiry = numbers.pop("certificate_expiry")
    return pa.table(
        [
            pa.DictionaryArray.from_arrays(pa.array(columns.target, pa.int32(), mask=is_endpoint), names),
            pa.DictionaryArray.from_arrays(pa.array(columns.target, pa.int32(), mask=~is_endpoint), names),
            _same(columns.vantage, rows),
            _moments(columns.slot_start * MICROS),
            _moments(columns.time),
            _named(columns.outcome, OUTCOMES),
            _named(columns.reason, REASONS),
            *(pa.array(values, pa.int64(), mask=values < 0) for values in numbers.values()),
            _moments(np.where(expiry < 0, UNSET, expiry * MICROS)),
            pa.DictionaryArray.from_arrays(pa.array(facts.detail, pa.int32()), pa.array(facts.details, pa.string())),
            _same(columns.register.register_version, rows),
            _same(columns.register.probe_version, rows),
            _same(columns.prober, rows),
            _moments(np.full(rows, round(stored * MICROS), np.int64)),
            pa.array(np.full(rows, sequence, np.int64)),
        ],
        schema=MEASUREMENT.schema,
    )


def measurements_of(table: pa.Table) -> Iterator[StoredMeasurements]:
    """Yield the rows of a table, those of each vantage together, with latencies and ages but without other facts."""
    table = table.combine_chunks().unify_dictionaries()
    vantage, vantages = codes_of(table["vantage"]), texts_of(table["vantage"])
    for number, name in enumerate(vantages):
        rows = table.filter(pa.array(vantage == number)) if len(vantages) > 1 else table
        if rows.num_rows:
            yield _stored(rows, name)


def _stored(table: pa.Table, vantage: str) -> StoredMeasurements:
    links, endpoints = texts_of(table["link"]), texts_of(table["endpoint"])
    link, endpoint = codes_of(table["link"]), codes_of(table["endpoint"])
    columns = MeasurementColumns(
        vantage=vantage,
        targets=(*map(Target, links), *(Target(name, endpoint=True) for name in endpoints)),
        target=np.where(link < 0, endpoint + len(links), link),
        slot_start=_numbers(table["slot_start"]) // MICROS,
        time=_numbers(table["time"]),
        outcome=_coded(table["outcome"], OUTCOMES, Outcome.UNKNOWN),
        reason=_coded(table["reason"], REASONS, Reason.NO_MEASUREMENT),
        latency=_numbers(table["latency"]),
        data_age=_numbers(table["data_age"]),
        register=RegisterVersions(),
    )
    return StoredMeasurements(columns, _numbers(table["stored"]) / MICROS, _numbers(table["sequence"]))


def _same(text: str, rows: int) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, np.int32)), pa.array([text], pa.string()))


def _moments(micros: NDArray[np.int64]) -> pa.Array:
    return pa.array(micros, pa.int64(), mask=micros < 0).cast(MOMENT)


def _named(numbers: NDArray[Any], names: Mapping[int, str]) -> pa.DictionaryArray:
    """Return numbers of an enumeration as names; a number that this version does not know stays one, as text."""
    known, index = np.unique(numbers, return_inverse=True)
    texts = [names.get(int(number), str(number)) for number in known]
    return pa.DictionaryArray.from_arrays(pa.array(index, pa.int32()), pa.array(texts, pa.string()))


def _coded(column: pa.ChunkedArray, names: Mapping[int, str], other: int) -> NDArray[np.uint8]:
    numbers = {name: number for number, name in names.items()}
    codes = [numbers.get(text, int(text) if text.isdecimal() else other) for text in texts_of(column)]
    return np.array(codes, np.uint8)[codes_of(column)]


def _numbers(column: pa.ChunkedArray) -> NDArray[np.int64]:
    values = column.cast(pa.int64()) if pa.types.is_timestamp(column.type) else column
    return np.asarray(pc.fill_null(values, UNSET).to_numpy(), np.int64)
