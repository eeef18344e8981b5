"""Slots by brute force: which ones a window has, when a link is required and built, and the verdict of each.

Registers and measurements are plain rows, as tests/support/oracles/index.py says.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta
from fractions import Fraction
from functools import cache
from math import ceil
from typing import Any
from zoneinfo import ZoneInfo

Register = Mapping[str, Any]
Measurement = tuple[bool, str, str, int, int | None, int | None]
Verdicts = dict[tuple[bool, str, int], int]
"""(endpoint?, target id, slot number) → stage; an absent slot is unknown."""


def midnight(register: Register, day: date) -> int:
    """Return the day's first midnight in epoch seconds."""
    return _midnight(register["timezone"], day)


@cache  # it is asked for each slot of each link
def _midnight(timezone: str, day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(timezone)).timestamp())


def window(register: Register, days: int, end_slot: int) -> list[int]:
    """Return the slots of the last ``days`` complete days and of the day that ``end_slot`` starts in, up to it."""
    seconds = register["slot_seconds"]
    end = end_slot * seconds
    near = datetime.fromtimestamp(end, ZoneInfo("UTC")).date()
    today = max(day for ahead in range(-3, 4) if midnight(register, day := near + timedelta(days=ahead)) <= end)
    start = max(midnight(register, today - timedelta(days=days)), register["epoch"])
    return list(range(ceil(Fraction(start) / seconds), end_slot))


def verdicts(register: Register, measurements: Iterable[Measurement], delayed: Iterable[Measurement] = ()) -> Verdicts:
    """Judge each measured slot: the earliest known measurement of each vantage, then the lower median over vantages.

    Measurements that were stored too late (``delayed``) count only if the vantage has no others of the slot.
    """
    heard = {(False, link["id"]): link["vantages"] for link in register["links"]}
    heard |= {(True, endpoint["id"]): endpoint["vantages"] for endpoint in register["endpoints"]}
    per_vantage: dict[tuple[bool, str, int], dict[str, tuple[bool, bool, bool, float, int]]] = {}
    for too_late, rows in ((False, measurements), (True, delayed)):
        for endpoint, target, vantage, slot, time, stage in rows:
            allowed = heard.get((endpoint, target), ())
            if allowed and vantage not in allowed:
                continue
            of_slot = per_vantage.setdefault((endpoint, target, slot), {})
            candidate = (too_late, stage is None, time is None, time or 0, stage or 0)
            of_slot[vantage] = min(of_slot.get(vantage, candidate), candidate)
    result: Verdicts = {}
    for key, of_slot in per_vantage.items():
        stages = sorted(stage for _, unknown, _, _, stage in of_slot.values() if not unknown)
        if stages:
            result[key] = stages[(len(stages) - 1) // 2]
    return result


def in_force(register: Register, link: Mapping[str, Any], slot: int) -> bool:
    """Whether the link is required in the slot."""
    start = slot * register["slot_seconds"]
    begun = link["required_from"] is None or start >= midnight(register, link["required_from"])
    return begun and (link["required_until"] is None or start < midnight(register, link["required_until"]))


def live(register: Register, link: Mapping[str, Any], slot: int) -> bool:
    """Whether the link is documented as built in the slot."""
    if link["live_from"] is None or link["live_from"] == "always":
        return link["live_from"] is not None
    return slot * register["slot_seconds"] >= midnight(register, link["live_from"])
