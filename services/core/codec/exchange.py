"""Exchange summaries on the bus and in JSON."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite

from peyvand.v1 import exchange_pb2
from services.core.codec.units import (
    LONGEST_TEXT,
    copied_fields,
    message_from_json,
    message_to_json,
    parse_message,
    to_timestamp,
)
from services.core.model import DURATION_BUCKETS, MOMENTS, ExchangeSummary

_LARGEST_COUNT = 1 << 31
"""More exchanges than any slot has: a slot lasts at most a day, which leaves room for 24,000 exchanges per second."""
_LARGEST_REVISION = 1 << 53  # a double holds it exactly; a collector's revisions are milliseconds since 1970
_LARGEST_BYTES = 1 << 63  # databases hold integers below it

_COUNTS = ("count", "ok", "bus_failures", "provider_failures", "orphans", "skew_count")
_BYTES = ("request_bytes", "response_bytes")
_NAMES = ("client", "service", "alias")
_FLOATS = ("skew_ms_sum", "duration_ms_sum")

_plain_fields = copied_fields(ExchangeSummary, "slot_start", "duration_buckets", "repeats")


def _message(row: ExchangeSummary) -> exchange_pb2.ExchangeSummary:
    return exchange_pb2.ExchangeSummary(
        slot_start=to_timestamp(row.slot_start),
        duration_buckets=row.duration_buckets,
        repeats=row.repeats,
        **_plain_fields(row),
    )


def _row(message: exchange_pb2.ExchangeSummary) -> ExchangeSummary:
    buckets = tuple(message.duration_buckets) or (0,) * DURATION_BUCKETS
    if len(buckets) != DURATION_BUCKETS:
        raise ValueError(f"duration_buckets has {len(buckets)} entries instead of {DURATION_BUCKETS}")
    if not message.HasField("slot_start"):
        raise ValueError("slot_start is missing")
    row = ExchangeSummary(
        slot_start=message.slot_start.seconds,
        duration_buckets=buckets,
        repeats=message.repeats if message.HasField("repeats") else None,
        **_plain_fields(message),
    )
    _check(row)
    return row


def _check(row: ExchangeSummary) -> None:
    """Raise ValueError for a number or name out of range, or for more results or repeats than exchanges.

    Otherwise sums would overflow, or no later revision could replace the row.
    """
    if row.slot_start not in MOMENTS:
        raise ValueError("slot_start is not in the years 1970 to 2199")
    if row.revision >= _LARGEST_REVISION:
        raise ValueError("revision is too large")
    for names, limit in ((_COUNTS, _LARGEST_COUNT), (_BYTES, _LARGEST_BYTES)):
        for name in names:
            if getattr(row, name) >= limit:
                raise ValueError(f"{name} is too large")
    if max(row.duration_buckets) >= _LARGEST_COUNT:
        raise ValueError("duration_buckets has a count that is too large")
    if max(row.ok + row.bus_failures + row.provider_failures, row.repeats or 0) > row.count:
        raise ValueError("ok, bus_failures and provider_failures, or repeats, are more than count")
    if not all(isfinite(getattr(row, name)) for name in _FLOATS):
        raise ValueError("skew_ms_sum or duration_ms_sum is not a number")
    if any(len(getattr(row, name)) > LONGEST_TEXT for name in _NAMES):
        raise ValueError("client, service or alias is too long")


def encode_summaries(bus: str, rows: Sequence[ExchangeSummary]) -> bytes:
    """Encode an ExchangeSummaryBatch of one data bus."""
    return exchange_pb2.ExchangeSummaryBatch(bus=bus, summaries=map(_message, rows)).SerializeToString()


def decode_summaries(payload: bytes) -> tuple[str, list[ExchangeSummary]]:
    """Return the data bus and its summaries.

    Raises ValueError when the payload is not an ExchangeSummaryBatch, or holds a value that is refused.
    """
    batch = parse_message(exchange_pb2.ExchangeSummaryBatch, payload)
    return batch.bus, [_row(message) for message in batch.summaries]


def summary_to_json(row: ExchangeSummary) -> str:
    """Return one line of JSON in the protobuf mapping, with proto field names."""
    return message_to_json(_message(row))


def summary_from_json(text: str) -> ExchangeSummary:
    """Parse a line written by summary_to_json. Raises ValueError saying what is wrong."""
    return _row(message_from_json(exchange_pb2.ExchangeSummary, text))
