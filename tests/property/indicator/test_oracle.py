from __future__ import annotations

from hypothesis import given, settings

from tests.support.cases.api.indicator_answers import assert_same, index_of, truth_of
from tests.support.cases.indicator import Case, cases


@settings(max_examples=150)
@given(cases(delays=True))
def test_every_indicator_equals_the_exact_oracle(case: Case) -> None:
    """Every indicator of every kind equals the brute force in rationals: all dates, clocks, weights and vantages."""
    assert_same(index_of(case), truth_of(case))
