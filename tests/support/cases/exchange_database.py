"""A database of exchanges that attributes by name, and summaries for it. Not a test."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.core.codec import ExchangeVolume
from services.core.model import StreamPosition
from services.core.model.exchange import ExchangeSummary, Flow, Parties
from services.indicator.calendar import Calendar
from services.register.attribution import Attribution, Attributor
from services.scorer.exchanges.database import ExchangeDatabase

CALENDAR = Calendar("UTC", 0.0, 300)
NOON = 1_772_366_400  # 2026-03-01T12:00:00Z
DAY = date(2026, 3, 1)
BASE = ExchangeSummary("X/G/1/tax", "X/G/2/civil/status", NOON, 1, count=10, ok=8, bus_failures=1, provider_failures=1)


class ByName(Attributor):
    """Takes the last part of a party as its agency, and attributes every exchange to one link."""

    def __init__(self, link: str = "") -> None:
        super().__init__(None)
        self.link = link

    def attribute(self, parties: Parties, alias: str = "") -> Attribution:
        consumer, provider = (party.rpartition("/")[2] for party in (parties.client, parties.provider))
        return Attribution(consumer, alias or provider, self.link)


def opened(path: Path | str) -> ExchangeDatabase:
    """A database that attributes by name."""
    exchanges = ExchangeDatabase(path)
    exchanges.attribute_by(ByName())
    return exchanges


def volume(
    slots: int = 1, *, of: str = "tax", to: str = "civil", meta: bool = False, last: int = NOON
) -> ExchangeVolume:
    """The volume of so many slots like BASE."""
    return ExchangeVolume(of, to, meta, 10 * slots, 8 * slots, slots, slots, last)


def volumes(exchanges: ExchangeDatabase, *, since: date = DAY) -> tuple[ExchangeVolume, ...]:
    """Return the volumes from a day on, without their span, which has its own test."""
    found = exchanges.volumes(since, end_slot=CALENDAR.slot_of(NOON), calendar=CALENDAR)
    return tuple(replace(one, slots_from=0, slots_to=0) for one in found)


def take(exchanges: ExchangeDatabase, *rows: ExchangeSummary, stored: float = NOON + 60, bus: str = "xroad") -> int:
    position = StreamPosition("EXCHANGES", "monday", 1)
    return exchanges.take([(stored, bus, rows)], calendar=CALENDAR, position=position)


def hours(exchanges: ExchangeDatabase, span: range) -> tuple[tuple[Flow, ...], NDArray[np.int32], NDArray[np.int32]]:
    """Return all flows, and what each carried in every hour."""
    with exchanges.reading() as reading:
        return reading.flows, *reading.hours(range(len(reading.flows)), span)


DETAILED: dict[str, Any] = {
    "request_bytes": 20,
    "response_bytes": 30,
    "repeats": 2,
    "duration_buckets": (0, 7, *(0,) * 37, 3),
}
"""Details of ten exchanges that a summary may hold beside their counts."""
