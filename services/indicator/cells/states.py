"""Values that the evidence returns: the result of a batch, changes to save, slots in detail."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.core.model import Target
from services.indicator.array_types import Ints, Numbers
from services.indicator.cells.closed_days import DayState

KeepArrays = Callable[[Sequence[Numbers]], Sequence[Numbers]]
"""Stores read-only arrays and returns equal ones, for instance memory-mapped."""


@dataclass(frozen=True, slots=True, eq=False)
class IngestResult:
    """How many rows of a batch were ingested, and what they changed.

    ``late`` rows belong to a closed day; ``misplaced`` rows are before the epoch or not at the start of a slot. Both change
    nothing. ``changed`` are the slots in which any cell changed, ascending, each with the columns of those cells.
    """

    accepted: int
    late: int
    misplaced: int
    changed: Mapping[int, Ints]


@dataclass(frozen=True, slots=True)
class SlotState:
    """One slot to be saved: int64 cells (vantages, targets), in the order of the id lists of ``EvidenceChanges``.

    It is narrower than lists that have grown since; the missing cells are empty.
    """

    slot: int
    cells: Ints


@dataclass(frozen=True, slots=True)
class EvidenceChanges:
    """Everything that changed since the last drain; the id lists are complete and only grow.

    Save in this order: id lists, slots, days (ascending, as listed), and last the manifest, which states how far the
    stream was read. Replace each file atomically. A crash may leave any prefix of that. Restoring it, and ingesting
    everything after the manifest again, gives the state of a run without the crash.
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
