"""Slots of one day counted per verdict, and the sums of such days over a window (INDICATOR.md §3-4)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.indicator.frame import Frame
from services.indicator.judge import Judge, Judged

__all__ = ["Tally", "WindowCounts"]

STAGES = 6


class Tally:
    """Counts of one day: ``counts`` (6, targets) slots per verdict, ``up`` and ``down`` (services,) per joint verdict.

    Columns are those of the evidence, not of a frame, and come later than the day where targets do.
    """

    __slots__ = ("counts", "down", "up")

    def __init__(self, slot_seconds: int) -> None:
        # The longest day has 25 hours: with slots of two seconds or more its count fits 16 bits, at half the memory.
        kind = np.uint16 if slot_seconds > 1 else np.uint32
        self.counts: NDArray[np.unsignedinteger[Any]] = np.zeros((STAGES, 0), dtype=kind)
        self.up: NDArray[np.unsignedinteger[Any]] = np.zeros(0, dtype=kind)
        self.down: NDArray[np.unsignedinteger[Any]] = np.zeros(0, dtype=kind)

    def add(self, judged: Judged, services: NDArray[np.int64]) -> None:
        """Count a slot in. ``services`` says which column each of the frame's services has."""
        self.widen(len(judged.verdict), int(services.max(initial=-1)) + 1)
        for stage in range(STAGES):
            self.counts[stage, : len(judged.verdict)] += judged.verdict == stage
        self.up[services] += judged.up
        self.down[services] += judged.down

    def remove(self, judged: Judged, services: NDArray[np.int64]) -> None:
        """Count a slot out that was counted in."""
        for stage in range(STAGES):
            self.counts[stage, : len(judged.verdict)] -= judged.verdict == stage
        self.up[services] -= judged.up
        self.down[services] -= judged.down

    def widen(self, targets: int, services: int) -> None:
        """Make room for at least so many columns."""
        if targets > self.counts.shape[1]:
            self.counts = np.pad(self.counts, ((0, 0), (0, targets - self.counts.shape[1])))
        if services > len(self.up):
            self.up = np.pad(self.up, (0, services - len(self.up)))
            self.down = np.pad(self.down, (0, services - len(self.down)))


@dataclass(frozen=True, slots=True)
class WindowCounts:
    """What one window holds, in frame order.

    Links: ``slots`` in force (n,), ``counts`` (6, n) known slots per stage, override of live_from applied.
    Endpoints: ``endpoint_slots`` (e,), all the window's, and ``endpoint_counts`` (6, e).
    Services: ``service_slots`` (s,) with a link in force, of which ``up`` and ``down``; the rest are unknown (§4).
    """

    slots: NDArray[np.int64]
    counts: NDArray[np.int64]
    endpoint_slots: NDArray[np.int64]
    endpoint_counts: NDArray[np.int64]
    service_slots: NDArray[np.int64]
    up: NDArray[np.int64]
    down: NDArray[np.int64]

    @classmethod
    def zero(cls, frame: Frame) -> WindowCounts:
        """Start a sum."""
        links, endpoints, services = len(frame.links), len(frame.endpoints), len(frame.services)

        def zeros(*shape: int) -> NDArray[np.int64]:
            return np.zeros(shape, dtype=np.int64)

        return cls(
            slots=zeros(links),
            counts=zeros(STAGES, links),
            endpoint_slots=zeros(endpoints),
            endpoint_counts=zeros(STAGES, endpoints),
            service_slots=zeros(services),
            up=zeros(services),
            down=zeros(services),
        )

    def copy(self) -> WindowCounts:
        """Return the same sums in arrays of their own."""
        return WindowCounts(
            slots=self.slots.copy(),
            counts=self.counts.copy(),
            endpoint_slots=self.endpoint_slots.copy(),
            endpoint_counts=self.endpoint_counts.copy(),
            service_slots=self.service_slots.copy(),
            up=self.up.copy(),
            down=self.down.copy(),
        )

    def add_day(self, judge: Judge, services: NDArray[np.int64], day: int, slots: int, *tallies: Tally) -> None:
        """Add a day, of which ``slots`` slots are in the window and counted in ``tallies``."""
        force = judge.force(day)
        self.slots[force.in_force] += slots
        self.counts[0, force.in_force & ~force.live] += slots
        self.endpoint_slots[:] += slots
        self.service_slots[force.service_in_force] += slots
        # A link on paper is a known zero in every slot, whatever was measured: so its service is down in every slot.
        self.down[force.service_paper] += slots
        measured = force.service_live & ~force.service_paper
        for tally in tallies:
            tally.widen(
                int(max(judge.links.max(initial=-1), judge.endpoints.max(initial=-1))) + 1,
                int(services.max(initial=-1)) + 1,
            )
            self.counts[:] += tally.counts[:, judge.links] * force.live
            self.endpoint_counts[:] += tally.counts[:, judge.endpoints]
            self.up[:] += tally.up[services] * measured
            self.down[:] += tally.down[services] * measured
