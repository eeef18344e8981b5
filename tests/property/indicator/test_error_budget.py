"""Burn rates, counted as slots come and go, equal a count of everything slot by slot."""

from __future__ import annotations

from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.indicator.index import error_budget
from services.indicator.index.error_budget import SPANS, BurnCounter, burn, burning_links

SLOT = 1800
LENGTHS = [2, 12, 48, 144]


def burned(verdicts, end, link, length):
    """Return the known and failed slots of one link, counted one by one; missing slots are unknown."""
    stages = [verdicts[slot][link] for slot in range(end - length, end) if slot in verdicts]
    known = [stage for stage in stages if stage >= 0]
    return len(known), sum(stage < 5 for stage in known)


@st.composite
def stories(draw):
    """Draw the number of links, the ends of updates and the share of unknown verdicts, with a random generator."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    links = draw(st.integers(1, 19))
    ends = np.cumsum(rng.integers(0, draw(st.sampled_from([2, 5, 60, 300])), size=12)) + 1000
    return rng, links, ends.tolist(), draw(st.sampled_from([0.0, 0.3, 0.9]))


@pytest.fixture(scope="module", params=[100, error_budget.COUNTED_CELLS])
def counted_cells(request):
    """The number of verdicts that are counted at a time: a few slots of them, or all."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(error_budget, "COUNTED_CELLS", request.param)
        yield


@pytest.mark.usefixtures("counted_cells")
@settings(max_examples=60)
@given(stories())
def test_counts_equal_counting_anew(story):
    """Whatever slots come, change late or are skipped, known and failed slots of every span and link equal the brute
    force's.
    """
    rng, links, ends, unknown = story
    arrays: Any = SimpleNamespace(links=range(links))
    truth: dict[Any, Any] = {}
    burns = BurnCounter(SLOT)

    def verdicts(slots):
        nothing = np.full(links, -1, dtype=np.int8)
        reached = np.array([truth.get(slot, nothing) for slot in slots], dtype=np.int8).reshape(len(slots), links)
        middle = len(slots) // 3
        return [(slots[:middle], reached[:middle]), (slots[middle:], reached[middle:])]

    last = 850
    for end in ends:
        late = rng.integers(700, end + 3, size=rng.integers(0, 8)).tolist()
        for slot in [*range(last, end + 1), *late]:
            row = rng.integers(0, 6, size=links).astype(np.int8)
            truth[slot] = np.where(rng.random(links) < unknown, np.int8(-1), row)
        last = end + 1
        if rng.random() < 0.1:
            arrays = SimpleNamespace(links=range(links))
        list(burns.pieces(arrays, end, [*range(end - 1, end + 3), *late], verdicts))
        for at, length in enumerate(LENGTHS):
            for link in range(links):
                assert (burns.known[at, link], burns.failed[at, link]) == burned(truth, end, link, length)


@settings(max_examples=60)
@given(st.data())
def test_who_burns_equals_exact_fractions(data):
    """A link burns over a span exactly when three slots failed and failed/known reaches threshold · (1 - slo)."""
    links = data.draw(st.integers(0, 8))
    slos = [data.draw(st.sampled_from(["0.5", "0.95", "0.99", "0.999"])) for _ in range(links)]
    known = np.array([[data.draw(st.integers(0, 40)) for _ in range(links)] for _ in SPANS], dtype=np.int64)
    failed = np.array(
        [[data.draw(st.integers(0, int(one))) for one in row] for row in known.reshape(len(SPANS), links)]
    )
    failed = failed.reshape(len(SPANS), links).astype(np.int64)
    found = burning_links(known.reshape(len(SPANS), links), failed, np.array(slos, dtype=np.float64))
    for at, (span, one) in enumerate(zip(SPANS, found, strict=True)):
        expected = {
            link: Fraction(int(failed[at, link]), int(known[at, link])) / (1 - Fraction(slos[link]))
            for link in range(links)
            if failed[at, link] >= 3
            and Fraction(int(failed[at, link]), int(known[at, link]))
            >= Fraction(str(span.threshold)) * (1 - Fraction(slos[link]))
        }
        assert one.span is span
        assert set(one.links.tolist()) == set(expected)
        assert one.burn.tolist() == sorted(one.burn.tolist(), reverse=True)
        for link, rate in zip(one.links.tolist(), one.burn.tolist(), strict=True):
            assert rate == pytest.approx(float(expected[link]))


@pytest.mark.parametrize(
    ("known", "failed", "burns"),
    [(12, 9, True), (12, 8, False), (3, 3, True), (2, 2, False), (100, 72, True), (0, 0, False)],
)
def test_the_hour_at_the_edge(known, failed, burns):
    """At 95 % an hour burns from 72 % failed slots on, that share included, and never below three failed slots."""
    counts = np.array([[known], [0], [0], [0]]), np.array([[failed], [0], [0], [0]])
    assert bool(len(burning_links(*counts, np.array([0.95]))[0].links)) is burns


def test_unknown_slots_burn_nothing():
    """A link without known slots has a burn rate of zero."""
    assert burn(np.array([0]), np.array([0]), np.array([0.99])).tolist() == [0.0]
