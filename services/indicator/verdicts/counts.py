"""Slots of one day counted per verdict, and the sums of such days over a window (docs/method.md §3-4)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.indicator.register_arrays import RegisterArrays
from services.indicator.verdicts.judge import Judge, JudgedSlot

__all__ = ["DayCounts", "WindowCounts"]

STAGES = 6


class DayCounts:
    """Counts of one day, or of part of it, under one register.

    ``counts`` (6, targets) slots per verdict, ``up`` and ``down`` (services,) per joint verdict, all in register order. What
    is not live that day is left to the reader to pass over.
    """

    __slots__ = ("counts", "down", "up")

    def __init__(self, arrays: RegisterArrays, slot_seconds: int) -> None:
        # The longest day has 25 hours: with slots of two seconds or more its count fits 16 bits, at half the memory.
        kind = np.uint16 if slot_seconds > 1 else np.uint32
        self.counts: NDArray[np.unsignedinteger[Any]] = np.zeros((STAGES, len(arrays.targets)), dtype=kind)
        self.up: NDArray[np.unsignedinteger[Any]] = np.zeros(len(arrays.services), dtype=kind)
        self.down: NDArray[np.unsignedinteger[Any]] = np.zeros(len(arrays.services), dtype=kind)

    def add(self, judge: Judge, judged: JudgedSlot) -> None:
        """Count a slot in."""
        reached = judged.verdict[judge.columns]
        for stage in range(STAGES):
            self.counts[stage] += reached == stage
        self.up += judged.up
        self.down += judged.down

    def remove(self, judge: Judge, judged: JudgedSlot) -> None:
        """Count a slot out that was counted in."""
        reached = judged.verdict[judge.columns]
        for stage in range(STAGES):
            self.counts[stage] -= reached == stage
        self.up -= judged.up
        self.down -= judged.down


@dataclass(frozen=True, slots=True)
class WindowCounts:
    """What one window holds, in register order.

    Links: ``slots`` in force (n,), ``counts`` (6, n) known slots per stage, override of live_from applied.
    Endpoints: ``endpoint_slots`` (e,), all the window's, and ``endpoint_counts`` (6, e).
    Services: ``service_slots`` (s,) with a link in force, of which ``up`` and ``down``; the rest are unknown (§4).
    int64 when it is handed out, int32 while it is kept.
    """

    slots: NDArray[np.signedinteger[Any]]
    counts: NDArray[np.signedinteger[Any]]
    endpoint_slots: NDArray[np.signedinteger[Any]]
    endpoint_counts: NDArray[np.signedinteger[Any]]
    service_slots: NDArray[np.signedinteger[Any]]
    up: NDArray[np.signedinteger[Any]]
    down: NDArray[np.signedinteger[Any]]

    @classmethod
    def zero(cls, arrays: RegisterArrays) -> WindowCounts:
        """Start a sum, in half the room: a window has fewer slots than 32 bits count."""
        links, endpoints, services = len(arrays.links), len(arrays.endpoints), len(arrays.services)

        def zeros(*shape: int) -> NDArray[np.int32]:
            return np.zeros(shape, dtype=np.int32)

        return cls(
            slots=zeros(links),
            counts=zeros(STAGES, links),
            endpoint_slots=zeros(endpoints),
            endpoint_counts=zeros(STAGES, endpoints),
            service_slots=zeros(services),
            up=zeros(services),
            down=zeros(services),
        )

    def whole(self) -> WindowCounts:
        """Return the same sums in arrays of their own, int64."""
        return WindowCounts(
            slots=self.slots.astype(np.int64),
            counts=self.counts.astype(np.int64),
            endpoint_slots=self.endpoint_slots.astype(np.int64),
            endpoint_counts=self.endpoint_counts.astype(np.int64),
            service_slots=self.service_slots.astype(np.int64),
            up=self.up.astype(np.int64),
            down=self.down.astype(np.int64),
        )

    def add_day(self, judge: Judge, day: int, slots: int, tally: DayCounts | None) -> None:
        """Add a day, of which ``slots`` slots are in the window; those that were measured are counted in ``tally``."""
        force = judge.requirements(day)
        self.slots[force.in_force] += slots
        self.counts[0, force.in_force & ~force.live] += slots
        self.endpoint_slots[:] += slots
        self.service_slots[force.service_in_force] += slots
        # A link on paper is a known zero in every slot, whatever was measured: so its service is down in every slot.
        self.down[force.service_paper] += slots
        if tally is not None:
            links = len(judge.links)
            measured = force.service_live & ~force.service_paper
            self.counts[:] += tally.counts[:, :links] * force.live
            self.endpoint_counts[:] += tally.counts[:, links:]
            self.up[:] += tally.up * measured
            self.down[:] += tally.down * measured
