"""The evidence of the open slots and the closed days, in memory (INDICATOR.md §2-3; DESIGN.md, Time)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from services.core.evidence import MeasurementColumns, Target
from services.indicator.calendar import Calendar
from services.indicator.frame import Frame

__all__ = ["Calendar", "Changes", "DayState", "Evidence", "SlotDetail", "SlotState", "Taken", "WindowCounts", "verdict"]


def verdict(stages: NDArray[np.int8]) -> NDArray[np.int8]:
    """The verdict over vantages: the lower median of the known stages (§2). (vantages, n), -1 = unknown → (n,)."""
    raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of a batch's rows: ``accepted``, ``late`` (their slot is closed), ``misplaced`` (before the epoch,
    or not the start of a slot). ``changed`` is whether any cell changed."""

    accepted: int
    late: int
    misplaced: int
    changed: bool


@dataclass(frozen=True, slots=True)
class SlotState:
    """One slot's cells, to be saved: int64 (vantages, targets), columns as in the id lists of ``Changes``.

    Widths may fall short of the id lists when ids were added later; what is missing is empty.
    """

    slot: int
    cells: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class DayState:
    """One day's closed slots, to be saved: those of the day that come before slot ``closed_before``.

    ``counts`` (6, targets) slots per verdict; ``up`` and ``down`` (services,) slots per joint verdict.
    """

    day: date
    closed_before: int
    counts: NDArray[np.uint32]
    up: NDArray[np.uint32]
    down: NDArray[np.uint32]


@dataclass(frozen=True, slots=True)
class Changes:
    """All that changed since the last drain. Save in this order: id lists, slots, days (as listed: ascending), and
    last the manifest of what had been taken in. Any prefix of it on disk, plus a replay, gives the same state."""

    targets: tuple[Target, ...]
    vantages: tuple[str, ...]
    services: tuple[str, ...]
    slots: tuple[SlotState, ...]
    days: tuple[DayState, ...]


@dataclass(frozen=True, slots=True)
class SlotDetail:
    """Consecutive slots in detail: outcomes as on the wire (0 = not in force, 1 = UNKNOWN, 2-7 = stage + 2).

    ``verdict`` (slots, targets); ``outcome`` and ``reason`` (slots, targets, vantages), all uint8. A vantage without a
    measurement is UNKNOWN / NO_MEASUREMENT; the verdict of a link that is not live is NOT_CONNECTED.
    """

    first_slot: int
    vantages: tuple[str, ...]
    verdict: NDArray[np.uint8]
    outcome: NDArray[np.uint8]
    reason: NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class WindowCounts:
    """What one window holds, in frame order.

    Links: ``slots`` in force (n,), ``counts`` (6, n) known slots per stage, override of live_from applied.
    Endpoints: ``endpoint_slots`` (all the window's), ``endpoint_counts`` (6, e).
    Services: ``service_slots`` (s,) with a link in force, of which ``up`` and ``down``; the rest are unknown (§4).
    """

    slots: NDArray[np.int64]
    counts: NDArray[np.int64]
    endpoint_slots: int
    endpoint_counts: NDArray[np.int64]
    service_slots: NDArray[np.int64]
    up: NDArray[np.int64]
    down: NDArray[np.int64]


class Evidence:
    """All measurements taken in, as slots (open, or closed but still kept in detail) and closed days."""

    def __init__(self, calendar: Calendar) -> None:
        raise NotImplementedError

    @classmethod
    def restore(
        cls,
        calendar: Calendar,
        *,
        targets: Sequence[Target],
        vantages: Sequence[str],
        services: Sequence[str],
        slots: Iterable[SlotState],
        days: Iterable[DayState],
    ) -> Evidence:
        """The evidence that was saved, in whatever mixture of ages the files are (see ``Changes``)."""
        raise NotImplementedError

    @property
    def closed_before(self) -> int:
        """Slots before this one are closed."""
        raise NotImplementedError

    @property
    def last_slot(self) -> int | None:
        """The latest slot that any row named, or None."""
        raise NotImplementedError

    def take(self, columns: MeasurementColumns) -> Taken:
        """Takes in one batch. Taking it in again, or in another order, changes nothing (§2, invariant 13)."""
        raise NotImplementedError

    def close(self, frame: Frame, before: int) -> None:
        """Closes every slot before ``before`` into its day's counts, judged by ``frame``; later rows are late."""
        raise NotImplementedError

    def drop(self, *, detail_before: int, days_before: date) -> tuple[tuple[int, ...], tuple[date, ...]]:
        """Forgets the detail of closed slots before ``detail_before`` and the days before ``days_before``.

        Returns the slots and days forgotten, so that their files can go too.
        """
        raise NotImplementedError

    def drain(self) -> Changes:
        """Copies of all that changed since the last call. It is not offered again: a failed save must end the process."""
        raise NotImplementedError

    def window(self, frame: Frame, days: int, end_slot: int) -> WindowCounts:
        """The counts of one window under one register version. Only slots that changed since the last call are counted anew."""
        raise NotImplementedError

    def detail(self, frame: Frame, slots: range, targets: Sequence[Target]) -> SlotDetail:
        """The evidence behind some targets' slots, judged by ``frame``."""
        raise NotImplementedError

    def changed_slots(self) -> tuple[int, ...]:
        """Slots whose cells changed since the last drain, ascending (whose SlotBlock must be published again)."""
        raise NotImplementedError
