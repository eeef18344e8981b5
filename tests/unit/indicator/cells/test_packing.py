from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from services.core.model.measurement import MeasurementColumns, Target
from services.core.model.outcome import Outcome, Reason
from services.indicator.cells.packing import EMPTY, cells_of, outcomes, reasons, stages
from services.indicator.verdicts.judge import verdict_over_vantages

SLOT = 1_700_000_100


def cell(outcome: int, time: int | None = 0, reason: int = Reason.OK) -> int:
    when = -1 if time is None else SLOT * 1_000_000 + time
    row = MeasurementColumns(
        vantage="main",
        targets=(Target("link"),),
        target=np.array([0]),
        slot_start=np.array([SLOT]),
        time=np.array([when]),
        outcome=np.array([outcome], dtype=np.uint8),
        reason=np.array([reason], dtype=np.uint8),
    )
    return int(cells_of(row)[0])


def test_smaller_cell_is_the_measurement_that_counts():
    """Known beats UNKNOWN, then the earliest time wins, then the lowest stage. Any measurement beats none."""
    best_first = [
        cell(Outcome.OK, -500_000),
        cell(Outcome.LATE, 10),
        cell(Outcome.OK, 10),
        cell(Outcome.NOT_CONNECTED, 11),
        cell(Outcome.INVALID, 10**9),
        cell(Outcome.NOT_CONNECTED, None),
        cell(Outcome.UNKNOWN, -500_000),
        cell(Outcome.UNKNOWN, 10),
        cell(Outcome.UNKNOWN, None, Reason.SHED),
        EMPTY,
    ]
    assert best_first == sorted(set(best_first))


def test_cells_give_back_outcome_stage_and_reason():
    """Every packed outcome and reason can be read back. An empty cell is UNKNOWN for lack of a measurement."""
    for reason in Reason:
        packed = np.array([cell(reason.outcome, 12, reason)])
        assert outcomes(packed)[0] == reason.outcome
        assert reasons(packed)[0] == reason
        assert stages(packed)[0] == (-1 if reason.outcome is Outcome.UNKNOWN else reason.outcome.stage)
    empty = np.array([EMPTY])
    assert (outcomes(empty)[0], reasons(empty)[0], stages(empty)[0]) == (1, Reason.NO_MEASUREMENT, -1)


@pytest.mark.parametrize("nonsense", [0, 8, 255])
def test_an_outcome_outside_the_enum_is_unknown(nonsense):
    """A value that cannot be read is never a failure of the target."""
    assert stages(np.array([cell(nonsense)]))[0] == -1


@pytest.mark.parametrize(
    ("votes", "expected"),
    [
        ([], -1),
        ([-1], -1),
        ([-1, -1, -1], -1),
        ([3], 3),
        ([5, -1], 5),
        ([5, 0], 0),
        ([5, 5, 0], 5),
        ([5, 1, 0], 1),
        ([5, 5, 2, 0], 2),
        ([5, 5, 5, 0], 5),
        ([5, 4, -1, 4, 1], 4),
    ],
)
def test_verdict_is_the_lower_median_of_the_known(votes, expected):
    """Unknown vantages have no vote, OK needs a strict majority, a tie fails, and the order has no effect."""
    for order in permutations(votes):
        column = np.array(order, dtype=np.int8).reshape(-1, 1)
        given = column.copy()
        assert verdict_over_vantages(column).tolist() == [expected]
        assert (column == given).all()
