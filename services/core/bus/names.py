"""Names on the bus: subjects, streams and buckets (docs/design.md §5)."""

from __future__ import annotations

from zlib import crc32

__all__ = [
    "EXCHANGES",
    "INDICATOR",
    "INDICATORS",
    "MEASUREMENTS",
    "REGISTER",
    "SHARDS",
    "STREAMS",
    "exchange_subject",
    "heartbeat_subject",
    "indicator_subject",
    "kv_stream",
    "kv_subject",
    "measurement_subject",
    "shard_of",
]

MEASUREMENTS = "MEASUREMENTS"
EXCHANGES = "EXCHANGES"
INDICATORS = "INDICATORS"
REGISTER = "register"
INDICATOR = "indicator"

STREAMS = (MEASUREMENTS, EXCHANGES, INDICATORS, f"KV_{REGISTER}", f"KV_{INDICATOR}")
"""Every stream, those behind buckets among them."""

SHARDS = 16


def shard_of(consumer: str) -> int:
    """The shard of a consumer agency: CRC32 of its id modulo 16."""
    return crc32(consumer.encode()) % SHARDS


def measurement_subject(vantage: str, number: int | str) -> str:
    """Subject of the measurements of one vantage and shard."""
    return f"peyvand.v1.measurement.{vantage}.{number}"


def exchange_subject(bus: str, number: int | str) -> str:
    """Subject of the exchange summaries of one data bus and shard."""
    return f"peyvand.v1.exchange.{bus}.{number}"


def indicator_subject(kind: str, entity: str, window_days: int | str) -> str:
    """Subject of one published indicator."""
    return f"peyvand.v1.indicator.{kind}.{entity}.{window_days}"


def heartbeat_subject(vantage: str, prober: str) -> str:
    """Subject on which one prober says that it is alive."""
    return f"peyvand.v1.heartbeat.{vantage}.{prober}"


def kv_stream(bucket: str) -> str:
    """The stream behind a KV bucket."""
    return f"KV_{bucket}"


def kv_subject(bucket: str, key: str) -> str:
    """The subject behind a key (or pattern of keys) of a KV bucket."""
    return f"$KV.{bucket}.{key}"
