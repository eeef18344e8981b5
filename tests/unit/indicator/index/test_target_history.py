"""The history of a link is counted from whole days."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest

from services.core.model import IndicatorKind
from services.core.model.measurement import Target
from services.indicator.calendar import Calendar
from services.indicator.cells import MeasuredDay
from services.indicator.index import TargetHistory
from tests.support.cases.registers.window import FIRST, HOUR, MONDAY, a_case, a_link, arrays_of


@pytest.mark.parametrize("slot_seconds", [1, 2, 300])
def test_a_whole_day_counts_however_short_its_slots_are(slot_seconds: int) -> None:
    """All slots of a day are known if all were measured, even if they are more than 16 bits count."""
    slots = 86_400 // slot_seconds
    stages = np.full((1, 1, slots), 5, dtype=np.int8)
    history = TargetHistory(arrays_of(a_case(a_link("one"))), Calendar("UTC", FIRST * HOUR, slot_seconds))
    day = MONDAY + timedelta(days=1)
    history.put([MeasuredDay(day, (Target("one"),), ("north",), stages)])
    (index,) = history.indexes(IndicatorKind.LINK, "one", 1, {day: 7})
    assert (index.known_share, index.lower, index.point) == (1.0, 1.0, 1.0)
