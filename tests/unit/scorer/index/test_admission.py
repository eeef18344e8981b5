"""Which rows count, by when the stream stored them."""

from __future__ import annotations

import numpy as np

from services.core.model.measurement import MeasurementColumns, Target
from services.scorer.index.admission import admit, closable

SLOT, GRACE = 300, 3600.0


def columns(*slot_starts: int) -> MeasurementColumns:
    n = len(slot_starts)
    return MeasurementColumns(
        vantage="north",
        targets=(Target("a"),),
        target=np.zeros(n, np.int64),
        slot_start=np.array(slot_starts, np.int64),
        time=np.array(slot_starts, np.int64) * 1_000_000,
        outcome=np.full(n, 7, np.uint8),
        reason=np.full(n, 1, np.uint8),
    )


def test_grace_ends_to_the_second() -> None:
    """A row stored exactly at the end of its grace counts; one stored later is late."""
    at_the_end = admit(columns(0, 300), stored=SLOT + GRACE, slot_seconds=SLOT, grace=GRACE)
    assert (at_the_end.late, at_the_end.columns.slot_start.tolist()) == (0, [0, 300])
    after = admit(columns(0, 300), stored=SLOT + GRACE + 0.001, slot_seconds=SLOT, grace=GRACE)
    assert (after.late, after.columns.slot_start.tolist(), after.columns.time.tolist()) == (1, [300], [300_000_000])


def test_future_slot_does_not_count() -> None:
    """A row of a slot that cannot have begun is left out, with any clock of its prober."""
    admitted = admit(columns(900, 1200, 1500, 1 << 62), stored=1000.0, slot_seconds=SLOT, grace=GRACE)
    assert (admitted.early, admitted.columns.slot_start.tolist()) == (2, [900, 1200])


def test_no_row_of_a_closed_slot_is_admitted() -> None:
    """At any moment, rows of a slot that may be closed are late from then on; rows of the next slot are not."""
    for moment in np.arange(10_000.0, 10_700.0, 12.5).tolist():
        before = closable(stored=moment, slot_seconds=SLOT, grace=GRACE)
        rows = columns((before - 1) * SLOT, before * SLOT)
        admitted = admit(rows, stored=moment, slot_seconds=SLOT, grace=GRACE)
        assert admitted.columns.slot_start.tolist() == [before * SLOT]
