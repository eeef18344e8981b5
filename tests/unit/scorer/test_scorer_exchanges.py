"""Volumes per pair of agencies from summaries that replace one another."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from services.core.codec import ExchangeVolume
from services.core.errors import StateError
from services.core.evidence import ExchangeSummary
from services.indicator.calendar import Calendar
from services.scorer.exchanges import Exchanges
from services.scorer.gap import Position

CALENDAR = Calendar("UTC", 0.0, 300)
NOON = 1_772_366_400  # 2026-03-01T12:00:00Z
DAY = date(2026, 3, 1)
BASE = ExchangeSummary(
    "tax", "civil", "X/G/1/tax", "X/G/2/civil/status", NOON, 1, count=10, ok=8, bus_failures=1, provider_failures=1
)


def volume(
    slots: int = 1, *, of: str = "tax", to: str = "civil", meta: bool = False, last: int = NOON
) -> ExchangeVolume:
    """The volume of so many slots like BASE."""
    return ExchangeVolume(of, to, meta, 10 * slots, 8 * slots, slots, slots, last)


def take(exchanges: Exchanges, *rows: ExchangeSummary, stored: float = NOON + 60, bus: str = "xroad") -> int:
    return exchanges.take([(stored, bus, rows)], calendar=CALENDAR)


def test_highest_revision_counts_in_any_order() -> None:
    """However revisions arrive and repeat, each slot counts once, with its highest revision."""
    rows = [
        replace(BASE, slot_start=NOON + 300 * slot, revision=revision, count=10 * revision, ok=8 * revision)
        for slot in range(5)
        for revision in (1, 2, 3)
    ]
    for seed in range(20):
        exchanges = Exchanges(":memory:")
        shuffled = random.Random(seed).sample(rows * 2, len(rows) * 2)
        for row in shuffled:
            take(exchanges, row)
        assert exchanges.volumes(DAY) == (ExchangeVolume("tax", "civil", False, 150, 120, 5, 5, NOON + 1200),)
        exchanges.close()


def test_pairs_buses_and_meta_services_count_apart() -> None:
    """One pair's volume is split by meta services only; the same slot on two buses is two slots."""
    exchanges = Exchanges(":memory:")
    take(
        exchanges,
        BASE,
        replace(BASE, service="X/G/2/getWsdl", meta=True),
        replace(BASE, consumer="_unmapped", client="?"),
    )
    take(exchanges, BASE, bus="other")
    assert exchanges.volumes(DAY) == (
        volume(of="_unmapped"),
        volume(2),
        volume(meta=True),
    )
    exchanges.close()


def test_revision_may_name_another_pair() -> None:
    """A summary mapped to another agency in a later revision leaves the first one's volume."""
    exchanges = Exchanges(":memory:")
    take(exchanges, BASE)
    take(exchanges, replace(BASE, provider="customs", revision=2))
    assert exchanges.volumes(DAY) == (volume(to="customs"),)
    exchanges.close()


def test_too_old_and_future_summaries_are_left_out() -> None:
    """What could no longer be replaced, or has not happened, is counted as left out and changes nothing."""
    exchanges = Exchanges(":memory:")
    old, future = replace(BASE, slot_start=NOON - 15 * 86_400), replace(BASE, slot_start=NOON + 2 * 86_400)
    far = [replace(BASE, slot_start=slot) for slot in (-(1 << 62), 1 << 62)]
    assert take(exchanges, old, future, *far, BASE) == 4
    assert exchanges.volumes(date(2000, 1, 1)) == (volume(),)
    exchanges.close()


def test_position_is_kept_with_what_was_taken_in(tmp_path: Path) -> None:
    """Volumes and position survive together, and taking everything in again changes nothing."""
    path = tmp_path / "exchanges.sqlite"
    exchanges = Exchanges(path)
    assert exchanges.position() is None
    position = Position("EXCHANGES", "monday", 17)
    exchanges.take([(NOON + 60, "xroad", [BASE])], calendar=CALENDAR, position=position)
    exchanges.close()
    again = Exchanges(path)
    assert again.position() == position
    again.take([(NOON + 60, "xroad", [BASE])], calendar=CALENDAR, position=position)
    assert again.volumes(DAY) == (volume(),)
    again.close()


def test_trim_forgets_days_beyond_the_window() -> None:
    """Days older than the window go; the window's own volumes stay although their summaries went."""
    exchanges = Exchanges(":memory:")
    moments = [NOON + day * 86_400 for day in range(0, 60, 10)]
    for moment in moments:
        take(exchanges, replace(BASE, slot_start=moment), stored=moment + 60)
    exchanges.trim(date(2026, 4, 20), 28)
    kept = exchanges.volumes(date(2000, 1, 1))
    assert kept == (volume(3, last=moments[-1]),)
    exchanges.close()


def test_damaged_file_is_a_state_error(tmp_path: Path) -> None:
    """A file that is no database is refused with its name and what to do."""
    path = tmp_path / "exchanges.sqlite"
    path.write_bytes(b"not a database, but long enough to look like a page of one " * 20)
    with pytest.raises(StateError) as caught:
        Exchanges(path)
    assert str(caught.value) == (
        f"the exchange volumes in {path} cannot be used: file is not a database; make room, or move the file away"
    )
