"""How numbers and times are written for a person, the same by every command. Pure: values in, text out."""

from __future__ import annotations

from datetime import datetime, tzinfo
from decimal import Decimal

from google.protobuf.timestamp_pb2 import Timestamp

from peyvand.v1 import indicator_service_pb2

__all__ = ["gain", "percent", "points", "when", "window"]


def percent(share: float) -> str:
    """A share as a percentage with one decimal."""
    return f"{100 * share:.1f} %"


def points(share: float) -> str:
    """A part of an index in percentage points with two significant digits: of many links each has a small part."""
    return f"{Decimal(f'{100 * share:.1e}'):f} pp"


def gain(cost: indicator_service_pb2.LinkCost, estimate: float) -> str:
    """What the index, now at ``estimate``, gains if this link alone is fixed."""
    return points(max(0.0, cost.index_if_fixed - estimate))


def when(moment: Timestamp, zone: tzinfo) -> str:
    """Say when something was, in ``zone``."""
    return f"{datetime.fromtimestamp(moment.seconds, zone):%Y-%m-%d %H:%M:%S}"


def window(days: int, as_of: Timestamp, zone: tzinfo) -> str:
    """Say over which days something counts, and in which timezone its times are told."""
    return f"last {days} days as of {when(as_of, zone)} {zone}"
