"""Every indicator equals the exact oracle."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from hypothesis import given, settings

from tests.support.cases.api.indicator_answers import assert_same, index_of, truth_of
from tests.support.cases.indicator import Case, cases
from tests.support.oracles.index import Measurement


@settings(max_examples=150)
@given(cases(delays=True))
def test_every_indicator_equals_the_exact_oracle(case: Case) -> None:
    """Every indicator of every kind equals the brute force in rationals: all dates, clocks, weights and vantages."""
    assert_same(index_of(case), truth_of(case))


def test_a_share_at_the_threshold_is_judged_by_the_decimals_of_the_register() -> None:
    """With 1, 0.1 and 0.1 known of 1.5, known is exactly .8: the point is published, though the doubles add up to less."""
    hour = 3600
    weights = [1, 0.1, 0.1, 0.1, 0.1, 0.1]
    register: dict[str, Any] = {
        "government": "gov",
        "timezone": "UTC",
        "epoch": 0,
        "slot_seconds": hour,
        "threshold": Fraction(4, 5),
        "agencies": [{"id": "a0", "sector": "x0"}, {"id": "a1", "sector": "x1"}],
        "services": [{"id": f"s{n}", "agency": "a0", "weight": weight} for n, weight in enumerate(weights)],
        "links": [
            {
                "id": f"l{n}",
                "service": f"s{n}",
                "provider": "a1",
                "required_from": None,
                "required_until": None,
                "live_from": "always",
                "vantages": (),
                "weight": 1,
            }
            for n in range(len(weights))
        ],
        "endpoints": [],
    }
    rows: list[Measurement] = [(False, f"l{n}", "north", 0, 0, 5) for n in range(3)]
    case = Case(register=register, measurements=rows, days=1, end_slot=1)
    truth = truth_of(case)
    assert_same(index_of(case), truth)
    assert truth["government", "gov"]["point"] == 1
