"""What direct get returns: stored messages and their headers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from nats.aio.msg import Msg

from services.core.bus.large_values import PARTS_HEADER, ValueParts
from services.core.bus.names import kv_subject

__all__ = [
    "StoredMessage",
    "StreamState",
    "is_deleted",
    "key_of",
    "message_of",
    "moment_of",
    "status_of",
    "status_text",
]


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """One stored message; ``time`` is when the stream stored it, in epoch seconds; ``deleted`` marks a KV tombstone.

    ``parts`` are those that hold the value of a KV entry where it is too large for one message.
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

    ``messages`` are kept of it, of ``size`` bytes. ``now`` is the server's clock at the answer, in epoch seconds.
    """

    created: str
    first: int
    last: int
    messages: int
    size: int
    now: float


def key_of(bucket: str, subject: str) -> str:
    """The key of a KV bucket behind a subject."""
    return subject.removeprefix(kv_subject(bucket, ""))


def status_of(reply: Msg) -> str | None:
    """The status of a reply that carries no stored message, such as 404 or 204 (the end of a batch)."""
    return (reply.headers or {}).get("Status")


def status_text(reply: Msg) -> str:
    """What the server says of a status."""
    return (reply.headers or {}).get("Description", "no reason given")


def is_deleted(reply: Msg) -> bool:
    """Whether a KV entry marks its key as deleted."""
    headers = reply.headers or {}
    return headers.get("KV-Operation") in ("DEL", "PURGE") or "Nats-Marker-Reason" in headers


def moment_of(text: str) -> float:
    """What the server writes of a moment, RFC 3339 with nanoseconds and always UTC, in epoch seconds to the microsecond."""
    return datetime.fromisoformat(text.rstrip("Z")[:26]).replace(tzinfo=UTC).timestamp()


def message_of(reply: Msg) -> StoredMessage:
    """The stored message a reply carries."""
    headers = reply.headers or {}
    written = headers.get(PARTS_HEADER)
    return StoredMessage(
        sequence=int(headers["Nats-Sequence"]),
        subject=headers["Nats-Subject"],
        data=reply.data,
        time=moment_of(headers["Nats-Time-Stamp"]),
        deleted=is_deleted(reply),
        parts=None if written is None else ValueParts.parse(written),
    )
