"""How numbers and times are written for a person, the same by every command. Pure: values in, text out."""

from __future__ import annotations

from datetime import datetime, tzinfo

from google.protobuf.timestamp_pb2 import Timestamp

__all__ = ["percent", "when", "window"]


def percent(share: float) -> str:
    """A share as a percentage with one decimal."""
    return f"{100 * share:.1f} %"


def when(moment: Timestamp, zone: tzinfo) -> str:
    """Say when something was, in ``zone``."""
    return f"{datetime.fromtimestamp(moment.seconds, zone):%Y-%m-%d %H:%M:%S}"


def window(days: int, as_of: Timestamp, zone: tzinfo) -> str:
    """Say over which days something counts, and in which timezone its times are told."""
    return f"last {days} days as of {when(as_of, zone)} {zone}"
