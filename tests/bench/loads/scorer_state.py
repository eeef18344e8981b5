"""Write the state of a scorer with its store: closed days and an open one, from made-up measurements."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from services.core.bus.names import MEASUREMENTS
from services.core.model import StreamPosition
from services.core.model.measurement import MeasurementColumns
from services.core.model.outcome import Outcome, Reason
from services.indicator.calendar import Calendar
from services.indicator.cells.closed_days import DayState
from services.indicator.cells.packing import cells_of
from services.indicator.cells.states import EvidenceChanges, SlotState
from services.indicator.register_arrays import RegisterArrays
from services.scorer.state.manifest import StateManifest
from services.scorer.state.store import StateUpdate, Store
from tests.bench.loads.synthetic import SLOT, register_of

__all__ = ["OPEN_SLOTS", "write_scorer_state"]

OPEN_SLOTS = 288
"""Slots in detail that belong to no closed day, as many as grace keeps."""

_DISTINCT_DAYS = 3  # closed days are copies of so many, each in its own file


def write_scorer_state(links: int, days: int, data: Path) -> None:
    """Write the state of a scorer that has so many closed days and one that is still open."""
    register = register_of(links)
    arrays, calendar = RegisterArrays.of(register), Calendar.of(register.policy)
    store, rng = Store(data, calendar), np.random.default_rng(3)
    store.load()
    first = calendar.day_of(calendar.epoch_slot)
    packed = [
        DayState.pack(first, _stages(rng, links, len(calendar.slots_of(first))))
        for _ in range(min(_DISTINCT_DAYS, days))
    ]
    end_slot = calendar.slots_of(first + timedelta(days=days)).start + OPEN_SLOTS

    kept_slots: set[int] = set()
    kept_days: set[date] = set()

    def save(slots: Sequence[SlotState], closed: Sequence[DayState]) -> None:
        position = StreamPosition(MEASUREMENTS, "bench", 0)
        manifest = StateManifest(
            position, time=float(end_slot * SLOT), register_version="", end_slot=end_slot, hour=0, day=0
        )
        kept_slots.update(state.slot for state in slots)
        kept_days.update(day.day for day in closed)
        changes = EvidenceChanges(arrays.targets, ("main",), tuple(slots), tuple(closed))
        store.save(StateUpdate(changes, manifest, frozenset(kept_slots), frozenset(kept_days)))

    for at in range(days):
        one = packed[at % len(packed)]
        save((), [DayState(first + timedelta(days=at), one.shape, one.stages)])
    for slot in range(end_slot - OPEN_SLOTS, end_slot):
        save([SlotState(slot, _cells(rng, links, slot))], ())


def _stages(rng: np.random.Generator, links: int, slots: int) -> NDArray[np.int8]:
    """Return (1, links, slots): a link has one outage a week, of an hour on average, and one slot in 300 unknown."""
    stages = np.full((1, links, slots), 5, dtype=np.int8)
    outages = rng.poisson(links / 7)
    link, start, length = (
        rng.integers(0, links, outages),
        rng.integers(0, slots, outages),
        1 + rng.exponential(12, outages),
    )
    for one, begin, last, stage in zip(link, start, length.astype(int), rng.integers(0, 5, outages), strict=True):
        stages[0, one, begin : begin + last] = stage
    gaps = links * slots // 300
    stages[0, rng.integers(0, links, gaps), rng.integers(0, slots, gaps)] = -1
    return stages


def _cells(rng: np.random.Generator, links: int, slot: int) -> NDArray[np.int64]:
    """Return (1, links): one slot in detail, in which one link of a hundred fails."""
    failed = rng.random(links) < 0.01
    measured = MeasurementColumns(
        vantage="",
        targets=(),
        target=np.arange(links),
        slot_start=np.full(links, slot * SLOT),
        time=slot * SLOT * 1_000_000 + rng.integers(0, SLOT * 500_000, links),
        outcome=np.where(failed, np.uint8(Outcome.NOT_CONNECTED), np.uint8(Outcome.OK)),
        reason=np.where(failed, np.uint8(Reason.CONNECT_REFUSED), np.uint8(Reason.OK)),
    )
    return cells_of(measured)[np.newaxis]
