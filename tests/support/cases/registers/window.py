"""Measurements of a small register, and evidence that ingests them. Not a test."""

from __future__ import annotations

from datetime import date, datetime
from fractions import Fraction
from zoneinfo import ZoneInfo

from services.indicator.calendar import Calendar
from services.indicator.evidence import Evidence
from services.indicator.register_arrays import RegisterArrays
from tests.support.cases.api.indicator_answers import (
    batches,
    register_of,
)
from tests.support.cases.indicator import Case

__all__ = ["FIRST", "HOUR", "MONDAY", "a_case", "a_link", "arrays_of", "new_evidence", "row", "take"]

HOUR = 3600
MONDAY = date(2024, 5, 13)
FIRST = int(datetime(2024, 5, 13, tzinfo=ZoneInfo("UTC")).timestamp()) // HOUR


def a_link(name, **changes):
    link = {
        "id": name,
        "service": "s",
        "provider": "b",
        "required_from": None,
        "required_until": None,
        "live_from": "always",
        "vantages": (),
        "weight": 1,
    }
    return link | changes


def a_case(*links, hours=48):
    register = {
        "government": "gov",
        "timezone": "UTC",
        "epoch": FIRST * HOUR,
        "slot_seconds": HOUR,
        "threshold": Fraction(4, 5),
        "agencies": [{"id": "a", "sector": "x"}, {"id": "b", "sector": "y"}],
        "services": [{"id": "s", "agency": "a", "weight": 1}],
        "links": list(links),
        "endpoints": [],
    }
    return Case(register=register, measurements=[], days=7, end_slot=FIRST + hours)


def row(link, hour, stage, vantage="north", time=0):
    return (False, link, vantage, FIRST + hour, (FIRST + hour) * HOUR * 10**6 + time, stage)


def arrays_of(case):
    return RegisterArrays.of(register_of(case.register))


def take(evidence, rows):
    return [evidence.take(batch) for batch in batches(rows, HOUR)]


def new_evidence(case):
    return Evidence(Calendar.of(register_of(case.register).policy))
