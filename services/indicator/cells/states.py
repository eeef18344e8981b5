"""What the evidence hands out: what to save, what became of a batch, slots in detail."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.core.model import Target
from services.indicator.cells.closed_days import DayState

__all__ = ["EvidenceChanges", "IngestResult", "KeepArrays", "SlotDetail", "SlotState"]


KeepArrays = Callable[[Sequence[NDArray[Any]]], Sequence[NDArray[Any]]]
"""Returns arrays that say the same, kept where whoever owns the evidence wants them; nobody changes them any more."""


@dataclass(frozen=True, slots=True, eq=False)
class IngestResult:
    """What became of a batch's rows.

    ``accepted``; ``late``: their day is closed; ``misplaced``: before the epoch, or not at the start of a slot. Late
    and misplaced rows change nothing. ``changed`` are the slots in which any cell changed, ascending, each with the columns
    of the targets whose cells did.
    """

    accepted: int
    late: int
    misplaced: int
    changed: Mapping[int, NDArray[np.int64]]


@dataclass(frozen=True, slots=True)
class SlotState:
    """One slot to be saved: int64 cells (vantages, targets), laid out as the id lists of ``EvidenceChanges``.

    Where ids were added later it is narrower than they are; what is missing is empty.
    """

    slot: int
    cells: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class EvidenceChanges:
    """All that changed since the last drain; the id lists are whole and only ever grow.

    Save in this order: id lists, slots, days (ascending, as listed), and last the manifest of what had been taken in,
    each file replaced as a whole. Whatever prefix of that a crash leaves, restoring it and taking in again everything
    after the manifest gives the state of a run without the crash.
    """

    targets: tuple[Target, ...]
    vantages: tuple[str, ...]
    slots: tuple[SlotState, ...]
    days: tuple[DayState, ...]


@dataclass(frozen=True, slots=True)
class SlotDetail:
    """Consecutive slots in detail; outcomes are numbers of Outcome, 0 where a link is not in force.

    ``verdict`` (slots, targets); ``outcome`` and ``reason`` (slots, targets, vantages), all uint8. A vantage without a
    measurement is UNKNOWN / NO_MEASUREMENT; the verdict of a link that is not live is NOT_CONNECTED.
    """

    first_slot: int
    vantages: tuple[str, ...]
    verdict: NDArray[np.uint8]
    outcome: NDArray[np.uint8]
    reason: NDArray[np.uint8]
