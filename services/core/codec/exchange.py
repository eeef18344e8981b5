"""Exchange summaries on the bus and in JSON."""

from __future__ import annotations

from collections.abc import Sequence

from google.protobuf import json_format
from google.protobuf.message import DecodeError

from peyvand.v1 import exchange_pb2
from services.core.codec.units import copied_fields, message_to_json, to_timestamp
from services.core.model import DURATION_BUCKETS, ExchangeSummary

_plain_fields = copied_fields(ExchangeSummary, "slot_start", "duration_buckets")


def _message(row: ExchangeSummary) -> exchange_pb2.ExchangeSummary:
    return exchange_pb2.ExchangeSummary(
        slot_start=to_timestamp(row.slot_start), duration_buckets=row.duration_buckets, **_plain_fields(row)
    )


def _row(message: exchange_pb2.ExchangeSummary) -> ExchangeSummary:
    buckets = tuple(message.duration_buckets) or (0,) * DURATION_BUCKETS
    if len(buckets) != DURATION_BUCKETS:
        raise ValueError(f"duration_buckets has {len(buckets)} entries instead of {DURATION_BUCKETS}")
    if not message.HasField("slot_start"):
        raise ValueError("slot_start is missing")
    return ExchangeSummary(slot_start=message.slot_start.seconds, duration_buckets=buckets, **_plain_fields(message))


def encode_summaries(bus: str, rows: Sequence[ExchangeSummary]) -> bytes:
    """Encode an ExchangeSummaryBatch of one data bus."""
    return exchange_pb2.ExchangeSummaryBatch(bus=bus, summaries=map(_message, rows)).SerializeToString()


def decode_summaries(payload: bytes) -> tuple[str, list[ExchangeSummary]]:
    """Return the data bus and its summaries. Raises ValueError when the payload is not an ExchangeSummaryBatch."""
    try:
        batch = exchange_pb2.ExchangeSummaryBatch.FromString(payload)
    except DecodeError as error:
        raise ValueError("not an ExchangeSummaryBatch") from error
    return batch.bus, [_row(message) for message in batch.summaries]


def summary_to_json(row: ExchangeSummary) -> str:
    """Return one line of JSON in the protobuf mapping, with proto field names."""
    return message_to_json(_message(row))


def summary_from_json(text: str) -> ExchangeSummary:
    """Read what summary_to_json wrote. Raises ValueError saying what is wrong."""
    message = exchange_pb2.ExchangeSummary()
    try:
        json_format.Parse(text, message)
    except json_format.ParseError as error:
        raise ValueError(str(error)) from error
    return _row(message)
