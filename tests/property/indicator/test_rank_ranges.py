"""Ranges of ranks that follow from intervals (docs/method.md §7.9)."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from services.core.model.indicator import IndicatorKind, RankBasis
from services.indicator.index.rank_ranges import rank_bands, rank_ranges
from services.indicator.sensitivity.ranks import rank_descending
from tests.support.cases.api.indicator_answers import snapshot
from tests.support.cases.indicator import Case, cases

TWENTIETHS = st.integers(0, 20)


@st.composite
def intervals(draw):
    """Low, point and high of some agencies, with ends that often meet; NaN for those with too little known."""
    rows = draw(st.lists(st.none() | st.tuples(TWENTIETHS, TWENTIETHS, TWENTIETHS), max_size=12))
    values = [(np.nan,) * 3 if row is None else tuple(part / 20 for part in sorted(row)) for row in rows]
    return np.array(values, dtype=np.float64).reshape(-1, 3).T


@given(intervals())
def test_a_range_counts_the_intervals_wholly_above_and_below(found) -> None:
    """A range equals its definition, pair by pair, in exact twentieths; an agency without an interval may have any
    rank.
    """
    low, _, high = found
    best, worst = rank_ranges(low, high)
    total = len(low)
    for agency in range(total):
        above = sum(bool(low[other] > high[agency] + 1e-9) for other in range(total))
        below = sum(bool(high[other] < low[agency] - 1e-9) for other in range(total))
        assert (best[agency], worst[agency]) == (1 + above, total - below)


@given(intervals())
def test_a_range_holds_the_rank_of_the_point(found) -> None:
    """The rank by points is within the range of every agency that has one, and ranges lie within 1 to n."""
    low, point, high = found
    best, worst = rank_ranges(low, high)
    ranks = rank_descending(point)
    known = ~np.isnan(point)
    assert (best[known] <= ranks[known]).all()
    assert (ranks[known] <= worst[known]).all()
    assert ((best >= 1) & (worst <= len(low))).all()


@given(intervals(), st.integers(0, 11), st.floats(0, 1))
def test_knowing_less_never_narrows_a_range(found, at, wider) -> None:
    """When one agency's interval grows, or is lost, no range of any agency begins later or ends earlier."""
    low, _, high = found
    best, worst = rank_ranges(low, high)
    for down, up in ((low - wider, high + wider), (np.full_like(low, np.nan),) * 2):
        chosen = np.arange(len(low)) == at
        later = rank_ranges(np.where(chosen, down, low), np.where(chosen, up, high))
        assert (later[0] <= best).all()
        assert (later[1] >= worst).all()


@settings(max_examples=30)
@given(cases())
def test_indicators_carry_the_range_of_their_agency(case: Case) -> None:
    """Consumers and providers with a point have a band among all that have an indicator; nothing else has one."""
    found = snapshot(case)
    for kind in IndicatorKind:
        rows = list(found.rows(kind, case.days))
        columns = found.columns[kind, case.days]
        ranked = kind in (IndicatorKind.CONSUMER, IndicatorKind.PROVIDER)
        bands = rank_bands(columns.ids, columns.applies, columns.interval_low, columns.interval_high) if ranked else {}
        for row in rows:
            assert (row.rank_band is not None) == (ranked and row.point is not None)
            assert row.rank_band == bands.get(row.id)
            if row.rank_band is not None:
                assert (row.rank_band.basis, row.rank_band.agencies) == (RankBasis.INTERVALS, len(rows))
