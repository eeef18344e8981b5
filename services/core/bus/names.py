"""Names on the bus: subjects, streams and buckets (docs/design.md §5)."""

from __future__ import annotations

from zlib import crc32

MEASUREMENTS = "MEASUREMENTS"
EXCHANGES = "EXCHANGES"
INDICATORS = "INDICATORS"
FINDINGS = "FINDINGS"
REGISTER_BUCKET = "register"
INDICATOR_BUCKET = "indicator"

STREAMS = (MEASUREMENTS, EXCHANGES, INDICATORS, FINDINGS, f"KV_{REGISTER_BUCKET}", f"KV_{INDICATOR_BUCKET}")
"""Every stream, those of buckets included."""

LATER_STREAMS = (FINDINGS,)
"""Streams that version 0.2.0 did not have."""

SHARDS = 16

GOVERNMENT_KEY = "government"
"""Key in bucket ``indicator`` of the government's block, which is put last."""

LEASE_KEY = "lease"
"""Key in bucket ``indicator`` that names the scorer that publishes; it expires unless it is renewed."""

SERVERS_SUBJECT = "$SYS.REQ.SERVER.PING.VARZ"
"""Every server answers with its settings and its state."""

SLOTS_PER_BLOCK = 64
"""Consecutive slots in one slot block of bucket ``indicator``."""

DETAIL_SECONDS = 48 * 3600
"""How long the slot blocks of bucket ``indicator`` are kept."""

AGENCY_GROUPS = 256
"""Groups of agencies, whose blocks are put together in bucket ``indicator``."""


def shard_of(name: str) -> int:
    """Return the shard of what a prober, or the collector of a data bus, publishes: CRC32 of its name, modulo 16."""
    return crc32(name.encode()) % SHARDS


def measurement_subject(vantage: str, number: int | str) -> str:
    """Return the subject of the measurements of one vantage and shard."""
    return f"peyvand.v1.measurement.{vantage}.{number}"


def exchange_subject(bus: str, number: int | str) -> str:
    """Return the subject of the exchange summaries of one data bus and shard."""
    return f"peyvand.v1.exchange.{bus}.{number}"


def indicator_subject(kind: str, entity: str, window_days: int | str) -> str:
    """Return the subject of one published indicator."""
    return f"peyvand.v1.indicator.{kind}.{entity}.{window_days}"


def finding_subject(kind: str, finding: str) -> str:
    """Return the subject of one finding about exchanges."""
    return f"peyvand.v1.finding.{kind}.{finding}"


def group_of(agency: str) -> int:
    """Return the group of an agency: CRC32 of its id, modulo AGENCY_GROUPS."""
    return crc32(agency.encode()) % AGENCY_GROUPS


def consumers_key(group: int | str) -> str:
    """Return the key in bucket ``indicator`` of the blocks of a group's agencies; ``*`` matches every one."""
    return f"consumer.{group}"


def slot_key(group: int | str, number: int | str) -> str:
    """Return the key in bucket ``indicator`` of a group's slot block, by first slot // SLOTS_PER_BLOCK.

    ``*`` matches every one.
    """
    return f"slot.{group}.{number}"


def group_of_slot_key(key: str) -> str:
    """Return the group of a key of ``slot_key``."""
    return key.split(".")[1]


def recent_key(group: int | str, part: int | str) -> str:
    """Return the key in bucket ``indicator`` of one part of the latest measurements of a group's targets.

    ``*`` matches every one.
    """
    return f"latest.{group}.{part}"


def heartbeat_subject(vantage: str, prober: str) -> str:
    """Return the subject of the heartbeats of one prober."""
    return f"peyvand.v1.heartbeat.{vantage}.{prober}"


def kv_stream(bucket: str) -> str:
    """Return the stream of a KV bucket."""
    return f"KV_{bucket}"


def kv_subject(bucket: str, key: str) -> str:
    """Return the subject of a key (or pattern of keys) of a KV bucket."""
    return f"$KV.{bucket}.{key}"


def stored_subject(subject: str) -> str:
    """Return the subject on which a bucket's stream announces what it stored under a subject (or a pattern of them)."""
    return f"peyvand.v1.stored.{subject}"
