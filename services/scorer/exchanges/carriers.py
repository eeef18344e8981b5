"""Who carried what, and whom a register says that is: a row for each client, service and bus.

Exchanges are counted by carrier, so another register attributes all that is kept of one, however old.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection

from services.core.model import ExchangeSummary, Flow, Parties
from services.register.attribution import Attributor

__all__ = ["SCHEMA", "attribute", "clients", "kept", "number", "trim"]

SCHEMA = """
CREATE TABLE carrier (
    id INTEGER PRIMARY KEY, bus TEXT, client TEXT, service TEXT, meta INTEGER, revision INTEGER,
    consumer TEXT, provider TEXT, link TEXT, shared INTEGER,
    UNIQUE (bus, client, service)
);
"""

_FIND = "SELECT id, revision FROM carrier WHERE bus = ? AND client = ? AND service = ?"

_ADD = """
INSERT INTO carrier (meta, revision, consumer, provider, link, shared, bus, client, service)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id
"""

_REVISE = "UPDATE carrier SET meta = ?, revision = ?, consumer = ?, provider = ?, link = ?, shared = ? WHERE id = ?"

_KEPT = "SELECT id, bus, consumer, provider, client, service, link, shared, meta FROM carrier ORDER BY id"

_ATTRIBUTE = "UPDATE carrier SET consumer = ?, provider = ?, link = ?, shared = ? WHERE id = ?"

_TRIM = """
DELETE FROM carrier WHERE NOT EXISTS (SELECT 1 FROM hours WHERE hours.carrier = id)
    AND NOT EXISTS (SELECT 1 FROM volume WHERE volume.carrier = id)
    AND NOT EXISTS (SELECT 1 FROM summary WHERE summary.carrier = id)
"""


def number(database: sqlite3.Connection, bus: str, of: ExchangeSummary) -> int:
    """Return the number of a summary's carrier, attributed as the highest revision of any of its summaries says."""
    named = (int(of.meta), of.revision, of.consumer, of.provider, of.link, int(of.shared))
    found = database.execute(_FIND, (bus, of.client, of.service)).fetchone()
    if found is None:
        (found,) = database.execute(_ADD, (*named, bus, of.client, of.service)).fetchone()
        return int(found)
    if of.revision > found[1]:
        database.execute(_REVISE, (*named, found[0]))
    return int(found[0])


def kept(database: sqlite3.Connection) -> list[tuple[int, Flow]]:
    """Return every carrier with its number, in the order of numbers."""
    rows = database.execute(_KEPT)
    return [
        (number, Flow(bus, consumer, provider, client, service, link, bool(shared), bool(meta)))
        for number, bus, consumer, provider, client, service, link, shared, meta in rows
    ]


def clients(database: sqlite3.Connection) -> frozenset[str]:
    """Return the clients of all carriers."""
    return frozenset(client for (client,) in database.execute("SELECT DISTINCT client FROM carrier"))


def attribute(database: sqlite3.Connection, mapping: Attributor, of: Collection[str]) -> None:
    """Attribute the carriers of some clients by a mapping."""
    changed = []
    for carrier, one in kept(database):
        found = mapping.attribute(Parties.of(one.client, one.service, meta=one.meta))
        before = one.consumer, one.provider, one.link, one.shared
        after = found.consumer, found.provider, found.link, found.shared
        if one.client in of and before != after:
            changed.append((*after, carrier))
    database.executemany(_ATTRIBUTE, changed)


def trim(database: sqlite3.Connection) -> None:
    """Forget carriers of which nothing is kept."""
    database.execute(_TRIM)
