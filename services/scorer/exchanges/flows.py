"""Stores the table of flows: a row for each client, service and bus.

Exchanges are counted by flow. Agencies and links are no columns: the register in force attributes each flow when it is
read. So a new register attributes everything that is kept (ADR 45, 56).
"""

from __future__ import annotations

import sqlite3

from services.core.checked_rows import row_check
from services.core.model import ExchangeSummary, Flow, Parties
from services.register.attribution import Attributor

SCHEMA = f"""
CREATE TABLE flow (
    id INTEGER PRIMARY KEY, bus TEXT, client TEXT, service TEXT, meta INTEGER, alias TEXT,
    {row_check("id", "bus", "client", "service", "meta", "alias")}, UNIQUE (bus, client, service)
);
"""

_FIND = "SELECT id, meta, alias FROM flow WHERE bus = ? AND client = ? AND service = ?"

_DROP_UNUSED = """
DELETE FROM flow WHERE NOT EXISTS (SELECT 1 FROM hours WHERE hours.flow = id)
    AND NOT EXISTS (SELECT 1 FROM volume WHERE volume.flow = id)
    AND NOT EXISTS (SELECT 1 FROM summary WHERE summary.flow = id)
"""


def flow_id(database: sqlite3.Connection, bus: str, summary: ExchangeSummary) -> int:
    """Return the id of a summary's flow, which is inserted if it is new. The last alias ingested counts."""
    stated = int(summary.meta), summary.alias
    row = database.execute(_FIND, (bus, summary.client, summary.service)).fetchone()
    if row is None:
        row = database.execute(
            "INSERT INTO flow (bus, client, service, meta, alias) VALUES (?, ?, ?, ?, ?) RETURNING id",
            (bus, summary.client, summary.service, *stated),
        ).fetchone()
    elif row[1:] != stated:
        database.execute("UPDATE flow SET meta = ?, alias = ? WHERE id = ?", (*stated, row[0]))
    return int(row[0])


def attributed(attributor: Attributor, bus: str, client: str, service: str, meta: int, alias: str) -> Flow:
    """Return the flow in a row, with the agencies and the link that a register names."""
    found = attributor.attribute(Parties.of(client, service, meta=bool(meta)), alias)
    return Flow(bus, found.consumer, found.provider, client, service, found.link, found.shared, bool(meta))


def read_flows(database: sqlite3.Connection, attributor: Attributor) -> dict[int, Flow]:
    """Return every flow by id, in the order of ids."""
    rows = database.execute("SELECT id, bus, client, service, meta, alias FROM flow ORDER BY id")
    return {number: attributed(attributor, *row) for number, *row in rows}


def drop_unused(database: sqlite3.Connection) -> None:
    """Drop flows that have no exchanges left."""
    database.execute(_DROP_UNUSED)
