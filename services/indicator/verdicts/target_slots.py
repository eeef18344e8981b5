"""The verdict and the reason that are shown for a slot (docs/method.md §2-3)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.core.model import Outcome, Reason
from services.indicator.array_types import Bools, Ints
from services.indicator.requirements import RequiredSlots


@dataclass(frozen=True, slots=True, eq=False)
class TargetSlots:
    """Slots of one target as they are shown: numbers of Outcome and Reason, (slots,) each, uint8.

    Both are 0 where the target is not in force. Before it is live it is NOT_CONNECTED / ABSENT, whatever was measured.
    """

    verdict: NDArray[np.uint8]
    reason: NDArray[np.uint8]

    @classmethod
    def of(
        cls,
        slots: Ints,
        required: RequiredSlots,
        verdict: NDArray[np.uint8],
        outcome: NDArray[np.uint8],
        reason: NDArray[np.uint8],
        counting: Bools,
    ) -> TargetSlots:
        """Apply a register to ``slots`` (slots,) whose ``verdict`` (slots,) may be of another register, or 0 for none.

        ``outcome`` and ``reason`` (slots, vantages) are what vantages reported, 0 for nothing, and ``counting`` (vantages,)
        is whether each counts for the target.
        """
        verdict, outcome = (np.where(part == 0, Outcome.UNKNOWN, part).astype(np.uint8) for part in (verdict, outcome))
        shown_reason = verdict_reasons(verdict, outcome, reason, counting)
        in_force = (slots >= required.in_force.start) & (slots < required.in_force.stop)
        live = slots >= required.live_from
        verdict = np.where(in_force, np.where(live, verdict, Outcome.NOT_CONNECTED), 0)
        shown_reason = np.where(in_force, np.where(live, shown_reason, Reason.ABSENT), 0)
        return cls(verdict.astype(np.uint8), shown_reason.astype(np.uint8))

    @property
    def known(self) -> Bools:
        """Which slots are in force and not UNKNOWN."""
        return self.verdict >= Outcome.NOT_CONNECTED

    @property
    def failed(self) -> Bools:
        """Which slots are known and not OK."""
        return self.known & (self.verdict < Outcome.OK)


def verdict_reasons(
    verdict: NDArray[np.uint8], outcome: NDArray[np.uint8], reason: NDArray[np.uint8], counting: Bools
) -> NDArray[np.uint8]:
    """Return the reason of each verdict (m,): that of the first counting vantage that reported the verdict.

    ``outcome`` and ``reason`` (m, vantages) are what vantages reported, ``counting`` (vantages,) or (m, vantages) whether
    they count for the target. NO_MEASUREMENT where no vantage reported the verdict with a reason.
    """
    unset = np.full((len(verdict), 1), Reason.NO_MEASUREMENT, dtype=np.uint8)
    agrees = counting & (outcome == verdict[:, np.newaxis]) & (reason != 0) & (reason != Reason.NO_MEASUREMENT)
    # A last column that always agrees stands for no vantage.
    first = np.hstack([agrees, np.ones_like(unset, dtype=np.bool_)]).argmax(axis=1)
    return np.asarray(np.hstack([reason, unset])[np.arange(len(verdict)), first])


def counting_vantages(named: Collection[str], vantages: Sequence[str]) -> Bools:
    """Return which ``vantages`` count for a target, (vantages,): the ``named`` ones, or all if there are none."""
    return np.array([not named or vantage in named for vantage in vantages], dtype=np.bool_)
