"""Counts the slots of one day by verdict, and sums them over a window (docs/method.md §3-4)."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.indicator.array_types import Counts
from services.indicator.register_arrays import RegisterArrays
from services.indicator.verdicts.causes import counter_type
from services.indicator.verdicts.judge import Judge, JudgedSlot

STAGES = 6


class DayCounts:
    """Counts of one day, or of part of it, under one register.

    ``counts`` (6, targets) slots per verdict, ``up`` and ``down`` (services,) per joint verdict, all in register order.
    Targets that are not live that day are counted too; callers leave them out.
    """

    __slots__ = ("counts", "down", "up")

    def __init__(self, arrays: RegisterArrays, slot_seconds: int) -> None:
        kind = counter_type(25 * 3600 // slot_seconds)  # the longest day has 25 hours
        self.counts: Counts = np.zeros((STAGES, len(arrays.targets)), dtype=kind)
        self.up: Counts = np.zeros(len(arrays.services), dtype=kind)
        self.down: Counts = np.zeros(len(arrays.services), dtype=kind)

    def add(self, judge: Judge, judged: JudgedSlot) -> None:
        """Add a slot."""
        reached = judged.verdict[judge.columns]
        for stage in range(STAGES):
            self.counts[stage] += reached == stage
        self.up += judged.up
        self.down += judged.down

    def remove(self, judge: Judge, judged: JudgedSlot) -> None:
        """Remove a slot that was added."""
        reached = judged.verdict[judge.columns]
        for stage in range(STAGES):
            self.counts[stage] -= reached == stage
        self.up -= judged.up
        self.down -= judged.down


@dataclass(frozen=True, slots=True)
class WindowCounts:
    """The counts of one window, in register order.

    Links: ``slots`` in force (n,), ``paper`` (n,) of them before the link was live, ``counts`` (6, n) known slots per stage,
    those on paper at stage 0.
    Endpoints: ``endpoint_slots`` (e,), all the window's, and ``endpoint_counts`` (6, e).
    Services: ``service_slots`` (s,) with a link in force, ``up`` and ``down``; the others are unknown (§4).
    Sums in progress are int32, results int64.
    """

    slots: NDArray[np.signedinteger[Any]]
    paper: NDArray[np.signedinteger[Any]]
    counts: NDArray[np.signedinteger[Any]]
    endpoint_slots: NDArray[np.signedinteger[Any]]
    endpoint_counts: NDArray[np.signedinteger[Any]]
    service_slots: NDArray[np.signedinteger[Any]]
    up: NDArray[np.signedinteger[Any]]
    down: NDArray[np.signedinteger[Any]]

    @classmethod
    def zero(cls, arrays: RegisterArrays) -> WindowCounts:
        """Return zeros to add to; 32 bits count the slots of any window."""
        links, endpoints, services = len(arrays.links), len(arrays.endpoints), len(arrays.services)
        shapes = (links, links, (STAGES, links), endpoints, (STAGES, endpoints), services, services, services)
        return cls(*(np.zeros(shape, dtype=np.int32) for shape in shapes))

    def copy(self) -> WindowCounts:
        """Return the same sums in new arrays, int64."""
        return WindowCounts(*(getattr(self, field.name).astype(np.int64) for field in fields(self)))

    def add_day(self, judge: Judge, day: int, slots: int, tally: DayCounts | None) -> None:
        """Add a day with ``slots`` slots in the window; ``tally`` counts those that were measured."""
        required = judge.requirements(day)
        self.slots[required.in_force] += slots
        on_paper = required.in_force & ~required.live
        self.paper[on_paper] += slots
        self.counts[0, on_paper] += slots
        self.endpoint_slots[:] += slots
        self.service_slots[required.service_in_force] += slots
        # A link on paper is a known zero in every slot, whatever was measured, so its service is down in every slot.
        self.down[required.service_paper] += slots
        if tally is not None:
            links = len(judge.links)
            measured = required.service_live & ~required.service_paper
            self.counts[:] += tally.counts[:, :links] * required.live
            self.endpoint_counts[:] += tally.counts[:, links:]
            self.up[:] += tally.up * measured
            self.down[:] += tally.down * measured
