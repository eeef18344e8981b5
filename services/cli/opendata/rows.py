"""Turns published numbers, structures and a register into the rows of each table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from typing import Any

import pyarrow as pa

from services.cli.opendata.tables import (
    AGENCIES,
    INDICATORS,
    ISLANDS,
    LINKS,
    PROVIDERS,
    ROUNDS,
    SCORES,
    SERVICES,
    STRUCTURE,
    Table,
)
from services.core.model import ALWAYS, Register, SetIndex, Structure
from services.dataset.tables import MICROS, table_of_columns

Row = dict[str, Any]


def structure_tables(structures: Sequence[Structure]) -> dict[str, pa.Table]:
    """Return the tables of how agencies are connected over each window."""
    by_window = sorted(structures, key=lambda one: one.window_days)
    islands = [
        {"window_days": one.window_days, "island": number, "agency": agency}
        for one in by_window
        for agency, number in sorted((agency, number) for number, who in enumerate(one.islands, 1) for agency in who)
    ]
    providers = [_of(role, PROVIDERS) | {"window_days": one.window_days} for one in by_window for role in one.providers]
    rows = [
        _of(one, STRUCTURE) | _bounds("within", one.within_sectors) | _bounds("across", one.across_sectors)
        for one in by_window
    ]
    return {
        STRUCTURE.name: table_of_rows(STRUCTURE, rows),
        ISLANDS.name: table_of_rows(ISLANDS, islands),
        PROVIDERS.name: table_of_rows(PROVIDERS, providers),
    }


def register_tables(register: Register) -> dict[str, pa.Table]:
    """Return the tables of the register and of the official rounds that it quotes."""
    links = [
        _of(one, LINKS)
        | {"consumer": register.consumer(one), "live_from": None if one.live_from == ALWAYS else one.live_from}
        | _of(one.legal_basis, LINKS, "law", "article", "passed")
        for one in register.links.values()
    ]
    rounds = register.evaluation.rounds if register.evaluation else ()
    dimensions = register.evaluation.dimensions if register.evaluation else ()
    scores = [
        {"round": one.round, "percent": percent, "dimension": dimension.id}
        | _of(dimension, SCORES, "name_fa", "name_en")
        for one in rounds
        for dimension in sorted(dimensions, key=lambda each: each.id)
        if (percent := one.dimension_percent.get(dimension.id)) is not None
    ]
    quoted = [_of(one, ROUNDS) | {"sources": _sources(one.sources.values())} for one in rounds]
    return {
        AGENCIES.name: table_of_rows(AGENCIES, [_of(one, AGENCIES) for one in register.agencies.values()]),
        SERVICES.name: table_of_rows(SERVICES, [_of(one, SERVICES) for one in register.services.values()]),
        LINKS.name: table_of_rows(LINKS, links),
        ROUNDS.name: table_of_rows(ROUNDS, quoted),
        SCORES.name: table_of_rows(SCORES, scores),
    }


def indicator_table(days: Iterable[tuple[str, pa.Table]]) -> pa.Table:
    """Return the rows of kind indicator that were published last on each day, in the order of their key."""
    schema = INDICATORS.kind.schema
    tables = [schema.empty_table()]
    for day, rows in days:
        columns = {name.replace("loss_", "lost_"): rows[name] for name in rows.column_names}
        columns["day"] = pa.repeat(pa.scalar(date.fromisoformat(day)), rows.num_rows)
        tables.append(pa.table([columns[name] for name in schema.names], schema=schema))
    return pa.concat_tables(tables)


def table_of_rows(table: Table, rows: Sequence[Row]) -> pa.Table:
    """Return rows as a table; moments are in epoch seconds, and a column that rows lack is empty."""
    columns: dict[str, list[Any]] = {column.name: [row.get(column.name) for row in rows] for column in table.columns}
    for column in table.columns:
        if column.type == "datetime":
            columns[column.name] = [value * MICROS for value in columns[column.name]]
    return table_of_columns(columns, table.kind)


def _of(value: object, table: Table, *names: str) -> Row:
    """Return the columns of a table that a value has an attribute for; empty texts are unset."""
    names = names or tuple(column.name for column in table.columns)
    return {name: None if (found := getattr(value, name, None)) == "" else found for name in names}


def _bounds(side: str, index: SetIndex) -> Row:
    return {f"{side}_{name}": getattr(index, name) for name in ("point", "lower", "upper")}


def _sources(sources: Iterable[Iterable[str]]) -> str | None:
    return "; ".join(sorted({one for some in sources for one in some})) or None
