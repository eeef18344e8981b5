"""Files of exchanges as earlier versions kept them, taken over as the present one does.

Pairs of agencies had volumes then, and a carrier was another one under each register. Volumes of days on which summaries
are still kept go to carriers. Older ones cannot be told apart: they stay with their pair, as a bus would log it that
speaks in agencies.
"""

from __future__ import annotations

import sqlite3

from services.scorer.exchanges import hourly as hours

__all__ = ["take_over"]

_FORMER_CARRIER = """
CREATE TABLE IF NOT EXISTS carrier (
    id INTEGER PRIMARY KEY, bus TEXT, consumer TEXT, provider TEXT, client TEXT, service TEXT,
    link TEXT, shared INTEGER, meta INTEGER,
    UNIQUE (bus, consumer, provider, client, service, link, shared, meta)
)
"""

_APART = tuple(f"ALTER TABLE {name} RENAME TO former_{name}" for name in ("summary", "carrier", "volume"))

_CARRIERS = (
    """
    INSERT INTO carrier
    SELECT MAX(id), bus, client, service, meta, 0, consumer, provider, link, shared
    FROM former_carrier GROUP BY bus, client, service
    """,
    """
    INSERT OR IGNORE INTO carrier
    SELECT NULL, bus, client, service, meta, MAX(revision), consumer, provider, '', 0
    FROM former_summary WHERE carrier IS NULL GROUP BY bus, client, service
    """,
    """
    UPDATE carrier SET revision = coalesce((
        SELECT MAX(revision) FROM former_summary AS former
        WHERE former.bus = carrier.bus AND former.client = carrier.client AND former.service = carrier.service
    ), 0)
    """,
)

# How long their slots were is not known: as short as can be, so that none takes another's place.
_SUMMARIES = (
    """
    INSERT INTO summary
    SELECT carrier.id, slot_start, 1, former.revision, day, count, ok, bus_failures, provider_failures
    FROM former_summary AS former JOIN carrier USING (bus, client, service)
    """,
    "INSERT INTO length VALUES (1)",
)

_MOVED = """
SELECT former.id, carrier.id FROM former_carrier AS former JOIN carrier USING (bus, client, service)
WHERE former.id != carrier.id
"""

_UNCOUNTED = """
SELECT carrier.id, slot_start / 3600 AS hour, SUM(count), SUM(ok)
FROM former_summary AS former JOIN carrier USING (bus, client, service)
WHERE former.carrier IS NULL GROUP BY carrier.id, hour
"""

_VOLUMES = (
    """
    INSERT INTO volume
    SELECT carrier, day, SUM(count), SUM(ok), SUM(bus_failures), SUM(provider_failures),
        MAX(CASE WHEN count > 0 THEN slot_start ELSE 0 END)
    FROM summary GROUP BY carrier, day
    """,
    """
    INSERT INTO former_volume
    SELECT consumer, provider, meta, day, -SUM(count), -SUM(ok), -SUM(bus_failures), -SUM(provider_failures), 0
    FROM former_summary WHERE TRUE GROUP BY consumer, provider, meta, day
    ON CONFLICT DO UPDATE SET
        count = count + excluded.count, ok = ok + excluded.ok, bus_failures = bus_failures + excluded.bus_failures,
        provider_failures = provider_failures + excluded.provider_failures
    """,
    """
    INSERT INTO carrier
    SELECT DISTINCT NULL, '', consumer, provider || '/' || meta || '/', meta, 0, consumer, provider, '', 0
    FROM former_volume WHERE count > 0
    """,
    """
    INSERT INTO volume
    SELECT id, day, count, ok, bus_failures, provider_failures, last_slot
    FROM former_volume AS former JOIN carrier ON carrier.bus = '' AND client = former.consumer
        AND service = former.provider || '/' || former.meta || '/'
    WHERE count > 0
    """,
)


def take_over(database: sqlite3.Connection, schema: str) -> None:
    """Make a file of an earlier version one of the present ``schema``, in one transaction; leave any other alone."""
    columns = [row[1] for row in database.execute("PRAGMA table_info(summary)")]
    if "consumer" not in columns:
        return
    database.execute(_FORMER_CARRIER)
    database.executescript(hours.SCHEMA)
    hours.take_over(database)
    with database:
        database.execute("BEGIN IMMEDIATE")
        if "carrier" not in columns:
            database.execute("ALTER TABLE summary ADD COLUMN carrier INTEGER")
        for statement in (*_APART, "DROP INDEX IF EXISTS summary_day", *schema.split(";"), *_CARRIERS, *_SUMMARIES):
            database.execute(statement)
        _put_hours(database)
        for statement in _VOLUMES:
            database.execute(statement)
        for name in ("summary", "carrier", "volume"):
            database.execute(f"DROP TABLE former_{name}")


def _put_hours(database: sqlite3.Connection) -> None:
    """Put the hours of a carrier under each register together, and those in that no carrier was known of."""
    for former, carrier in database.execute(_MOVED).fetchall():
        hours.move(database, former, carrier)
    uncounted = database.execute(_UNCOUNTED).fetchall()
    hours.add(database, {(carrier, hour): (count, ok) for carrier, hour, count, ok in uncounted})
