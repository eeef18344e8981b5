"""Stored messages, and values too large for one message. Pure.

A large value is split into parts, which are joined only when all of them exist. Part ``n`` is stored under the key
`part.<key>.<generation>.<n>`, where the generation is the beginning of the value's hash. The message under the key
itself is empty; its header holds the count of parts, and the size and hash of the whole value.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256

import nats.errors
from nats.aio.msg import Msg
from nats.js.api import RawStreamMsg

from services.core.bus.names import kv_subject
from services.core.errors import BusError, NotLastError

MAX_VALUE_BYTES = 1_000_000
"""Bytes of the largest value stored as one message, and of a part: a message may have 1 MiB with its headers."""

PARTS_HEADER = "Peyvand-Parts"
"""The header of a message whose value is stored as parts: `<count>-<size>-<sha256>`."""

PARTS_PATTERN = "part.>"
"""Matches every key of a part."""

LAST_HEADER = "Nats-Expected-Last-Subject-Sequence"
"""The header of a message that is stored only if the last one on its subject has this sequence, 0 for none."""

_NOT_LAST = 10071, 10164  # codes of "wrong last sequence" (nats-server, server/errors.json)
_STREAM_FULL = 10077
_LAST = re.compile(r"wrong last sequence: ([0-9]+)")
_SEQUENCE = "Nats-Sequence"
_HEADER = re.compile(r"([0-9]{1,4})-([0-9]{1,12})-([0-9a-f]{64})", re.ASCII)
_GENERATION_DIGITS = 32  # of the hash: enough that two values of one key never share a generation


@dataclass(frozen=True, slots=True)
class ValueParts:
    """The number of parts of one value, its size in bytes and its hash."""

    count: int
    size: int
    sha256: str

    @classmethod
    def of(cls, value: bytes) -> ValueParts:
        """Describe a value."""
        return cls(-(-len(value) // MAX_VALUE_BYTES), len(value), sha256(value).hexdigest())

    @classmethod
    def parse(cls, header: str) -> ValueParts:
        """Parse a header; an unreadable header gives a description that no parts match."""
        match = _HEADER.fullmatch(header)
        return cls(int(match[1]), int(match[2]), match[3]) if match else cls(0, -1, header)

    @property
    def header(self) -> str:
        """The value of PARTS_HEADER."""
        return f"{self.count}-{self.size}-{self.sha256}"

    def keys(self, key: str) -> list[str]:
        """Return the keys of the parts, in order."""
        return [f"part.{key}.{self.sha256[:_GENERATION_DIGITS]}.{number}" for number in range(self.count)]


def split_value(value: bytes) -> list[bytes]:
    """Split a value into parts, all but the last of MAX_VALUE_BYTES."""
    return [value[start : start + MAX_VALUE_BYTES] for start in range(0, len(value), MAX_VALUE_BYTES)]


def join_parts(parts: ValueParts, contents: Sequence[bytes | None]) -> bytes | None:
    """Return the value; None when a part is missing or the parts are not those of this value."""
    present = [content for content in contents if content is not None]
    if len(present) != len(contents) or sum(map(len, present)) != parts.size:
        return None
    value = b"".join(present)
    return value if sha256(value).hexdigest() == parts.sha256 else None


def key_of_part(part: str) -> str:
    """Return the key of the value that a part belongs to."""
    return part.removeprefix("part.").rsplit(".", 2)[0]


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

    It holds ``messages`` of ``size`` bytes together. ``now`` is the server's clock, in epoch seconds. Messages are removed
    after ``max_age`` seconds; 0 in a bucket, where each has a time to live of its own or none. It takes no message beyond
    ``limit`` bytes; 0 without a limit.
    """

    created: str
    first: int
    last: int
    messages: int
    size: int
    now: float
    max_age: float = 0.0
    limit: int = 0


def key_of(bucket: str, subject: str) -> str:
    """Return the key of a KV bucket that a subject stands for."""
    return subject.removeprefix(kv_subject(bucket, ""))


def status_of(reply: Msg) -> str | None:
    """Return the status of a reply without a stored message, such as 404 or 204 (the end of a batch).

    A stored message keeps the headers of its publisher, which may include a status; its sequence comes from the server.
    """
    headers = reply.headers or {}
    return None if _SEQUENCE in headers else headers.get("Status")


def status_text(reply: Msg) -> str:
    """Return the server's description of a status."""
    return (reply.headers or {}).get("Description", "no reason given")


def not_last(error: BusError) -> NotLastError | None:
    """Return the error of a message that was refused because of its LAST_HEADER, None for any other error."""
    if getattr(error.__cause__, "err_code", None) not in _NOT_LAST:
        return None
    found = _LAST.search(str(error.__cause__))
    return NotLastError(str(error), None if found is None else int(found[1]))


def error_text(error: BaseException) -> str:
    """Describe an error in words: nats-py raises some errors without a text, and those of the server in its own terms."""
    if isinstance(error, nats.errors.NoRespondersError):
        return "no stream listens there; has `peyvand bus init` run?"
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if getattr(error, "err_code", None) == _STREAM_FULL:
        return (
            "its stream is full (maximum bytes exceeded); make room on the disk of the bus, then restart `peyvand up` or "
            "raise the limit with `peyvand bus init --storage`"
        )
    return str(error) or type(error).__name__


def moment_of(text: str) -> float:
    """Return a time written by the server, RFC 3339 with nanoseconds in UTC, in epoch seconds to the microsecond."""
    return datetime.fromisoformat(text.rstrip("Z")[:26]).replace(tzinfo=UTC).timestamp()


def message_of(reply: Msg) -> StoredMessage:
    """Return the stored message in a reply."""
    headers = reply.headers or {}
    time = moment_of(headers["Nats-Time-Stamp"])
    return _stored(int(headers[_SEQUENCE]), headers["Nats-Subject"], reply.data, time, headers)


def message_of_leader(found: RawStreamMsg) -> StoredMessage:
    """Return the stored message that the leader of a stream sent."""
    assert found.seq is not None
    assert found.subject is not None
    assert found.time is not None
    return _stored(found.seq, found.subject, found.data or b"", found.time.timestamp(), found.headers or {})


def _stored(sequence: int, subject: str, data: bytes, time: float, headers: Mapping[str, str]) -> StoredMessage:
    parts = headers.get(PARTS_HEADER)
    return StoredMessage(
        sequence=sequence,
        subject=subject,
        data=data,
        time=time,
        deleted=headers.get("KV-Operation") in ("DEL", "PURGE") or "Nats-Marker-Reason" in headers,
        parts=None if parts is None else ValueParts.parse(parts),
    )
