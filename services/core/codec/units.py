"""Conversions shared by all codecs: times, durations, copied fields and JSON.

Times are float seconds in values, integer microseconds on the wire (-1 = unset), and RFC 3339 in JSON.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from operator import attrgetter
from typing import Any, Final, TypeVar

from google.protobuf import json_format
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import DecodeError, Message
from google.protobuf.timestamp_pb2 import Timestamp

from services.core.model import MOMENTS

M = TypeVar("M", bound=Message)

LONGEST_TEXT: Final = 4096
"""Characters of a name or a detail: an identifier of X-Road has up to five parts of 255, escaped."""


def copied_fields(value_type: type, *special: str) -> Callable[[Any], dict[str, Any]]:
    """Return a function that reads the fields of a dataclass, except special ones, from such a value or its message.

    The message must have a field of the same name for each.
    """
    names = tuple(field.name for field in fields(value_type) if field.name not in special)
    read = attrgetter(*names)
    return lambda value: dict(zip(names, read(value), strict=True))


def optional_field(message: Message, name: str) -> Any:
    """Return a field of a message, None if it is unset."""
    return getattr(message, name) if message.HasField(name) else None


def parse_message(kind: type[M], payload: bytes) -> M:
    """Return the message of this kind. Raises ValueError when the payload is not one."""
    try:
        return kind.FromString(payload)
    except DecodeError as error:
        raise ValueError(f"not a valid {kind.__name__}") from error


def message_from_json(kind: type[M], text: str) -> M:
    """Return the message of this kind, in any JSON form that protobuf accepts. Raises ValueError saying what is wrong."""
    try:
        return json_format.Parse(text, kind())
    except json_format.ParseError as error:
        raise ValueError(str(error)) from error


def message_to_json(message: Message, *, zeros: bool = False) -> str:
    """Return one line of JSON in the protobuf mapping, with proto field names; ``zeros`` writes default values too."""
    return json_format.MessageToJson(
        message,
        preserving_proto_field_name=True,
        always_print_fields_with_no_presence=zeros,
        indent=None,
        ensure_ascii=False,
    )


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


def whole_seconds(message: Timestamp) -> int:
    """Return a Timestamp as whole epoch seconds. Raises ValueError outside the years 1970 to 2199."""
    if message.seconds not in MOMENTS:
        raise ValueError("a time is not in the years 1970 to 2199")
    return message.seconds


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
