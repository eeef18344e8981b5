"""Stored messages as direct get returns them, and their headers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from nats.aio.msg import Msg

from services.core.bus.large_values import PARTS_HEADER, ValueParts
from services.core.bus.names import kv_subject


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """One stored message; ``time`` is when the stream stored it, in epoch seconds; ``deleted`` marks a KV tombstone.

    ``parts`` describes the parts of a KV value that is too large for one message.
    """

    sequence: int
    subject: str
    data: bytes
    time: float
    deleted: bool = False
    parts: ValueParts | None = None


@dataclass(frozen=True, slots=True)
class StreamState:
    """When a stream was created (as the server writes it) and the sequences it holds; last = first - 1 when empty.

    It holds ``messages`` of ``size`` bytes together. ``now`` is the server's clock, in epoch seconds.
    """

    created: str
    first: int
    last: int
    messages: int
    size: int
    now: float


def key_of(bucket: str, subject: str) -> str:
    """Return the key of a KV bucket that a subject stands for."""
    return subject.removeprefix(kv_subject(bucket, ""))


def status_of(reply: Msg) -> str | None:
    """Return the status of a reply without a stored message, such as 404 or 204 (the end of a batch)."""
    return (reply.headers or {}).get("Status")


def status_text(reply: Msg) -> str:
    """Return the server's description of a status."""
    return (reply.headers or {}).get("Description", "no reason given")


def _is_deleted(reply: Msg) -> bool:
    """Whether a KV entry marks its key as deleted."""
    headers = reply.headers or {}
    return headers.get("KV-Operation") in ("DEL", "PURGE") or "Nats-Marker-Reason" in headers


def moment_of(text: str) -> float:
    """Return a time written by the server, RFC 3339 with nanoseconds in UTC, in epoch seconds to the microsecond."""
    return datetime.fromisoformat(text.rstrip("Z")[:26]).replace(tzinfo=UTC).timestamp()


def message_of(reply: Msg) -> StoredMessage:
    """Return the stored message in a reply."""
    headers = reply.headers or {}
    parts = headers.get(PARTS_HEADER)
    return StoredMessage(
        sequence=int(headers["Nats-Sequence"]),
        subject=headers["Nats-Subject"],
        data=reply.data,
        time=moment_of(headers["Nats-Time-Stamp"]),
        deleted=_is_deleted(reply),
        parts=None if parts is None else ValueParts.parse(parts),
    )
