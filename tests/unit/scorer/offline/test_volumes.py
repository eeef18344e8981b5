"""Volumes of dumped summaries equal those of the scorer."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from services.core.model.exchange import ExchangeSummary
from services.indicator.calendar import Calendar
from services.register.attribution import Attributor
from services.register.directory.load import load_register
from services.scorer.exchanges.database import ExchangeDatabase
from services.scorer.offline.score import volumes
from tests.support.registers import write_register

NOON = 1_772_366_400  # 2026-03-01T12:00:00Z
DAY = 86_400


def test_dumped_summaries_are_attributed_as_the_scorer_attributes_them(tmp_path: Path) -> None:
    """Offline as online, summaries belong to the agencies that the register names, in any order and revision."""
    register = load_register(write_register(tmp_path / "register"))
    calendar = Calendar.of(register.policy)
    before = ExchangeSummary("tax-office", "customs/tax-clearance/imports", NOON, 1, count=10, ok=9)
    rows = [replace(before, slot_start=NOON - day * DAY) for day in range(20)]
    rows += [replace(before, slot_start=NOON - day * DAY, revision=2, ok=10) for day in range(5)]
    online = ExchangeDatabase(tmp_path / "exchanges.sqlite")
    online.attribute_by(Attributor(register))
    online.take([(row.slot_start + 60, "xroad", [row]) for row in rows], calendar=calendar)
    end = calendar.slot_of(NOON + 600)
    since = calendar.day_of(end) - timedelta(days=28)
    live = online.volumes(since, end_slot=end, calendar=calendar)
    assert [(one.consumer, one.provider, one.count, one.ok) for one in live] == [("tax-office", "customs", 200, 185)]
    shuffled = random.Random(3).sample(rows, len(rows))
    assert volumes(register, shuffled, at=NOON + 600, window_days=28) == live
    online.close()
