"""Rows count depending on when they were probed and when the stream stored them."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np

from services.core.model.measurement import MeasurementColumns, Target
from services.core.model.outcome import OUTCOME_OF, Outcome, Reason
from services.core.model.register import Government, Policy
from services.indicator.admission import admit, closable

SLOT = 300
POLICY = Policy(Government("country", "", ""), "UTC", datetime(2026, 1, 1, tzinfo=UTC), SLOT, grace_hours=1)
PROMPT, GRACE = 152.0, 3752.0  # seconds after a slot's end: half a slot and a flush, and an hour more


def columns(*slot_starts: int, after: float = 0.0) -> MeasurementColumns:
    """One row for each slot, probed this many seconds after the slot began."""
    n = len(slot_starts)
    return MeasurementColumns(
        vantage="north",
        targets=(Target("a"),),
        target=np.zeros(n, np.int64),
        slot_start=np.array(slot_starts, np.int64),
        time=np.array(slot_starts, np.int64) * 1_000_000 + round(after * 1e6),
        outcome=np.full(n, 7, np.uint8),
        reason=np.full(n, 1, np.uint8),
    )


def test_grace_ends_to_the_second() -> None:
    """A row stored exactly at the end of its grace counts. One stored later is late."""
    at_the_end = admit(columns(0, 300), stored=SLOT + GRACE, policy=POLICY)
    assert (at_the_end.late, at_the_end.columns.slot_start.tolist()) == (0, [0, 300])
    after = admit(columns(0, 300), stored=SLOT + GRACE + 0.001, policy=POLICY)
    assert (after.late, after.columns.slot_start.tolist(), after.columns.time.tolist()) == (1, [300], [300_000_000])


def test_rows_are_delayed_once_their_slot_must_have_settled() -> None:
    """A row stored after the longest timeout and a flush is marked as delayed. One stored by then is not."""
    assert admit(columns(0, 300), stored=SLOT + PROMPT, policy=POLICY).columns.delayed is None
    marked = admit(columns(0, 300), stored=SLOT + PROMPT + 0.001, policy=POLICY).columns
    assert marked.delayed is not None
    assert marked.delayed.tolist() == [True, False]


def test_a_probe_is_in_its_slot() -> None:
    """A row's time is unset, or from one second before its slot until the longest timeout after it."""
    for after, misplaced in ((-1.0, 0), (-1.000001, 1), (0.0, 0), (450.0, 0), (450.000001, 1), (-86_400.0, 1)):
        admitted = admit(columns(90_000, after=after), stored=90_400.0, policy=POLICY)
        assert (after, admitted.misplaced, len(admitted.columns)) == (after, misplaced, 1 - misplaced)
    unset = columns(90_000)
    unset.time[:] = -1
    assert admit(unset, stored=90_400.0, policy=POLICY).misplaced == 0


def test_future_slot_does_not_count() -> None:
    """A row is left out if its slot cannot have begun by any prober's clock."""
    admitted = admit(columns(900, 1200, 1500, 1 << 62), stored=1000.0, policy=POLICY)
    assert (admitted.early, admitted.misplaced, admitted.columns.slot_start.tolist()) == (2, 0, [900, 1200])


def test_no_row_of_a_closed_slot_is_admitted() -> None:
    """At any moment, rows of a slot that may be closed are late from then on, and rows of the next slot are not."""
    for moment in np.arange(10_000.0, 10_700.0, 12.5).tolist():
        before = closable(stored=moment, policy=POLICY)
        rows = columns((before - 1) * SLOT, before * SLOT)
        admitted = admit(rows, stored=moment, policy=POLICY)
        assert admitted.columns.slot_start.tolist() == [before * SLOT]


def test_numbers_of_a_newer_prober_become_known_ones() -> None:
    """An outcome that only a newer prober knows is UNKNOWN, and such a reason is another one of the same outcome."""
    known = {(outcome, reason) for reason, outcome in OUTCOME_OF.items()}
    for outcome, reason in ((2, 39), (4, 200), (7, 2), (5, 0), (1, 255), (9, 61), (0, 0), *sorted(known)):
        rows = columns(900)
        rows.outcome[:], rows.reason[:] = outcome, reason
        read = admit(rows, stored=1000.0, policy=POLICY).columns
        (judged,), (why,) = map(Outcome, read.outcome.tolist()), map(Reason, read.reason.tolist())
        assert judged == (outcome if outcome in list(Outcome) else Outcome.UNKNOWN)
        if reason in list(Reason):
            assert why == reason
        else:
            assert why.outcome is judged
            assert why not in (Reason.NO_MEASUREMENT, Reason.ABSENT)
