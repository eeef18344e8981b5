"""Encodes and decodes heartbeats of probers."""

from __future__ import annotations

from dataclasses import dataclass

from peyvand.v1 import heartbeat_pb2
from services.core.codec.units import copied_fields, from_timestamp, parse_message, to_timestamp


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """A prober that is alive, or ``leaving``; times in epoch seconds.

    ``share_from`` is the start of the first slot in which it probes its whole share; None while it probes nothing.
    """

    vantage: str
    prober: str
    time: float
    started: float
    register_version: str
    probe_version: str
    targets: int
    leaving: bool = False
    share_from: int | None = None


_heartbeat_fields = copied_fields(Heartbeat, "time", "started", "share_from")


def encode_heartbeat(heartbeat: Heartbeat) -> bytes:
    """Encode a Heartbeat."""
    return heartbeat_pb2.Heartbeat(
        time=to_timestamp(heartbeat.time),
        started=to_timestamp(heartbeat.started),
        share_from=None if heartbeat.share_from is None else to_timestamp(heartbeat.share_from),
        **_heartbeat_fields(heartbeat),
    ).SerializeToString()


def decode_heartbeat(payload: bytes) -> Heartbeat:
    """Decode a Heartbeat. Raises ValueError when the payload is not one."""
    message = parse_message(heartbeat_pb2.Heartbeat, payload)
    return Heartbeat(
        time=from_timestamp(message.time),
        started=from_timestamp(message.started),
        share_from=message.share_from.seconds if message.HasField("share_from") else None,
        **_heartbeat_fields(message),
    )
