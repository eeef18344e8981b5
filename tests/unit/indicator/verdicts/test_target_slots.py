"""Slots show a verdict and its reason."""

from __future__ import annotations

import numpy as np

from services.core.model import Outcome, Reason
from services.indicator.requirements import RequiredSlots
from services.indicator.verdicts import TargetSlots, counting_vantages, verdict_reasons

LATE, OK = Outcome.LATE, Outcome.OK


def row(*values: int) -> np.ndarray:
    """Numbers as blocks hold them."""
    return np.array(values, dtype=np.uint8)


def test_a_reason_is_that_of_the_first_counting_vantage_with_the_verdict() -> None:
    """Vantages with another outcome, that do not count, or that have no reason are passed over."""
    verdict = row(LATE, LATE, OK)
    outcome = np.array([[OK, LATE, LATE], [LATE, OK, OK], [OK, OK, LATE]], dtype=np.uint8)
    reason = np.array([[1, 63, 64], [0, 1, 1], [0, 1, 64]], dtype=np.uint8)
    everybody = np.ones(3, dtype=np.bool_)
    assert verdict_reasons(verdict, outcome, reason, everybody).tolist() == [63, Reason.NO_MEASUREMENT, 1]
    some = counting_vantages(("north", "west"), ("north", "south", "west"))
    assert some.tolist() == [True, False, True]
    assert verdict_reasons(verdict[:1], outcome[:1], reason[:1], some).tolist() == [64]
    assert verdict_reasons(verdict, outcome[:, :0], reason[:, :0], everybody[:0]).tolist() == [10, 10, 10]


def test_a_register_decides_over_what_was_measured() -> None:
    """A slot shows nothing while not required, ABSENT before it is live, and unknown where nothing was judged."""
    slots = np.arange(10, 15)
    outcome = np.array([[OK], [OK], [OK], [0], [LATE]], dtype=np.uint8)
    reason = np.array([[1], [1], [1], [0], [63]], dtype=np.uint8)
    required = RequiredSlots(range(11, 1 << 62), 12)
    found = TargetSlots.of(slots, required, row(OK, OK, OK, 0, LATE), outcome, reason, np.ones(1, dtype=np.bool_))
    assert found.verdict.tolist() == [0, Outcome.NOT_CONNECTED, OK, Outcome.UNKNOWN, LATE]
    assert found.reason.tolist() == [0, Reason.ABSENT, Reason.OK, Reason.NO_MEASUREMENT, 63]
    assert found.known.tolist() == [False, True, True, False, True]
    assert found.failed.tolist() == [False, True, False, False, True]
