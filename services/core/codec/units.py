"""Times and durations: seconds as floats inside, integer microseconds on the wire (-1 = unset), RFC 3339 in JSON."""

from __future__ import annotations

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

__all__ = ["from_duration", "from_micros", "from_timestamp", "to_duration", "to_micros", "to_timestamp"]


def to_micros(seconds: float | None) -> int:
    """Return seconds as whole microseconds; -1 for None."""
    return -1 if seconds is None else round(seconds * 1e6)


def from_micros(value: int) -> float | None:
    """Return whole microseconds as seconds; None for -1."""
    return None if value < 0 else value / 1e6


def to_timestamp(seconds: float) -> Timestamp:
    """Return epoch seconds as a Timestamp, to the microsecond."""
    message = Timestamp()
    message.FromMicroseconds(round(seconds * 1e6))
    return message


def from_timestamp(message: Timestamp) -> float:
    """Return a Timestamp as epoch seconds, to the microsecond."""
    return message.ToMicroseconds() / 1e6


def to_duration(seconds: float | None) -> Duration | None:
    """Return seconds as a Duration, to the microsecond; None for None."""
    if seconds is None:
        return None
    message = Duration()
    message.FromMicroseconds(round(seconds * 1e6))
    return message


def from_duration(message: Duration) -> float:
    """Return a Duration as seconds, to the microsecond."""
    return message.ToMicroseconds() / 1e6
