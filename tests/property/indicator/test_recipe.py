"""Intervals in arrays equal those computed one number at a time by the text of docs/method.md §6."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from services.indicator.intervals.loss_bounds import LossBounds, _table
from services.indicator.intervals.outages import OutageAccumulator, OutageTotals
from services.indicator.intervals.recipe import (
    PooledLengths,
    bound_bus,
    bound_sets,
    cause_moments,
    combine_with_bus,
    estimate_lengths,
    pool_causes,
)
from services.indicator.intervals.sets import (
    ClassEstimates,
    CommonModeGuard,
    LinkSets,
    WindowCauses,
    bound_groups,
    bound_links,
)
from services.indicator.verdicts.causes import pause_slots, sum_states
from tests.support.oracles import intervals as oracle

HOUR = 3600
AGENCIES, LINKS = 3, 7
DAY = 30
NO_GUARD = CommonModeGuard(*np.zeros((3, 2)))
CAUSES = 1 + AGENCIES + LINKS


class Case:
    """Days of slots of a bus, three providers and seven links; which link belongs where, and its weight."""

    def __init__(self, seed: int) -> None:
        self.rng = rng = random.Random(seed)
        self.slot_seconds = rng.choice([300, 900, 1800])
        gap, fails = rng.choice([0.0, 0.3, 0.9]), rng.choice([0.0, 0.05, 0.3, 0.8, 1.0])
        self.days = [[self._slots(gap, fails) for _ in range(CAUSES)] for _ in range(rng.randint(2, 6))]
        self.window = rng.randint(1, len(self.days))
        # The bus and every provider are known somewhere in the window, or there would be nothing to compute.
        for slots in self.days[-1]:
            slots[0] = max(slots[0], 0)
        self.provider = [rng.randrange(AGENCIES) for _ in range(LINKS)]
        self.group = [rng.randrange(2) for _ in range(LINKS)]
        self.weight = [rng.choice([0.5, 1.0, 3.0]) for _ in range(LINKS)]
        self.loss = [rng.choice([0.0, 1.0, rng.random(), rng.random() / 10]) for _ in range(LINKS)]

    def _slots(self, gap: float, fails: float) -> list[int]:
        length = self.rng.randint(1, 3)
        states = [self.rng.random() < fails for _ in range(DAY)]
        return [-1 if self.rng.random() < gap else int(states[slot // length]) for slot in range(DAY)]

    def spells(self, last: int) -> OutageTotals:
        """Sum the last days with the library."""
        found = OutageAccumulator(CAUSES, self.slot_seconds)
        for day in self.days[-last:]:
            found.add(sum_states(np.array(day, dtype=np.int8).T, pause_slots(self.slot_seconds)))
        return found.totals()

    def sums(self, last: int) -> list[oracle.Sums]:
        """Sum the last days by the text."""
        hours, pause = self.slot_seconds / HOUR, HOUR // self.slot_seconds
        return [oracle.sums([day[cause] for day in self.days[-last:]], hours, pause) for cause in range(CAUSES)]

    def causes(self) -> WindowCauses:
        """Spread the causes with the library."""
        return WindowCauses.of(self.spells(self.window), ClassEstimates.of(self.spells(len(self.days)), AGENCIES))


class Truth:
    """The same case by the text."""

    def __init__(self, case: Case) -> None:
        window, record = case.sums(case.window), case.sums(len(case.days))
        self.case = case
        self.bus = oracle.bus(window[0], record[0])
        providers, own = range(1, 1 + AGENCIES), range(1 + AGENCIES, CAUSES)
        self.causes: dict[object, oracle.Cause] = {}
        for part in (providers, own):
            pooled = oracle.pooled(record[at] for at in part)
            self.causes |= {at: oracle.cause(window[at], record[at], pooled) for at in part}

    def of_set(self, links: list[int], guard: tuple[float, float, float]) -> tuple[float, float, float]:
        """Bound the loss of these links, bus-free."""
        case, total = self.case, sum(self.case.weight[link] for link in links)
        shares: dict[object, float] = {}
        for link in links:
            for at in (1 + case.provider[link], 1 + AGENCIES + link):
                shares[at] = shares.get(at, 0.0) + case.weight[link] / total
        loss = sum(case.weight[link] / total * case.loss[link] for link in links)
        return oracle.set_of(loss, shares, self.causes, guard)


def rows(bounds: LossBounds) -> list[tuple[float, float, float]]:
    """Return loss, low and high of each."""
    return list(zip(bounds.loss.tolist(), bounds.low.tolist(), bounds.high.tolist(), strict=True))


seeds = st.integers(0, 2**32)


@given(seeds)
def test_sums_of_days_are_those_of_their_slots(seed) -> None:
    """K, S, N and Q of days appended one by one equal those counted slot by slot, chains over midnight included."""
    case = Case(seed)
    found = case.spells(len(case.days))
    expected = case.sums(len(case.days))
    columns = (found.known, found.down, found.outages, found.squares)
    for at, one in enumerate(expected):
        wanted = (one.known, one.down, one.outages, one.squares)
        assert [float(column[at]) for column in columns] == pytest.approx(wanted, abs=1e-9)


@given(seeds)
@example(133815)  # a bus that was down for half of the window and for more of the record
def test_links_and_sets_are_bounded_as_the_text_says(seed) -> None:
    """Loss and both bounds of every link and set equal a scalar computation, to the accuracy of the quantile table."""
    case = Case(seed)
    truth = Truth(case)
    causes = case.causes()
    provider, group = np.array(case.provider), np.array(case.group)
    for link, found in enumerate(
        rows(combine_with_bus(bound_links(causes, provider, np.array(case.loss)), causes.bus))
    ):
        expected = oracle.with_bus(truth.of_set([link], (0.0, 0.0, 0.0)), truth.bus)
        assert found == pytest.approx(expected, abs=2e-5, rel=2e-4)
    guard = CommonModeGuard(
        *(np.array([case.rng.choice([0.0, size]) for _ in range(2)]) for size in (1e-3, 1e-1, 1e-2))
    )
    sets, weight = LinkSets.of(group, 2, provider), np.array(case.weight)
    of_sets = rows(combine_with_bus(bound_groups(sets, weight, np.array(case.loss), causes, guard), causes.bus))
    for at in set(case.group):
        links = [link for link in range(LINKS) if case.group[link] == at]
        guarded = (float(guard.variance[at]), float(guard.more[at]), float(guard.more_square[at]))
        expected = oracle.with_bus(truth.of_set(links, guarded), truth.bus)
        assert of_sets[at] == pytest.approx(expected, abs=2e-5, rel=2e-4)


@given(seeds)
def test_bounds_hold_the_loss_and_stay_shares(seed) -> None:
    """Whatever happened, 0 ≤ low ≤ loss ≤ high ≤ 1, for links and sets, with the bus and without."""
    case = Case(seed)
    causes = case.causes()
    provider, group = np.array(case.provider), np.array(case.group)
    found = [
        bound_links(causes, provider, np.array(case.loss)),
        bound_groups(LinkSets.of(group, 2, provider), np.array(case.weight), np.array(case.loss), causes, NO_GUARD),
        causes.bus,
    ]
    for loss, low, high in (row for bounds in found for row in rows(bounds)):
        assert 0.0 <= low <= loss <= high <= 1.0


@given(seeds)
def test_names_do_not_matter(seed) -> None:
    """Agencies and links under other names, and so in another order, have the same intervals."""
    case = Case(seed)
    new_agency = case.rng.sample(range(AGENCIES), AGENCIES)
    order = np.array(case.rng.sample(range(LINKS), LINKS))
    provider, group, weight = np.array(case.provider), np.array(case.group), np.array(case.weight)
    loss = np.array(case.loss)
    places = np.concatenate([[0], 1 + np.argsort(new_agency), 1 + AGENCIES + order])

    def renamed(spells: OutageTotals) -> OutageTotals:
        return OutageTotals(spells.known[places], spells.down[places], spells.outages[places], spells.squares[places])

    causes = case.causes()
    other = WindowCauses.of(
        renamed(case.spells(case.window)), ClassEstimates.of(renamed(case.spells(len(case.days))), AGENCIES)
    )
    provider_there = np.array(new_agency)[provider[order]]
    here, there = bound_links(causes, provider, loss), bound_links(other, provider_there, loss[order])
    assert there.high == pytest.approx(here.high[order], abs=1e-12)
    here = bound_groups(LinkSets.of(group, 2, provider), weight, loss, causes, NO_GUARD)
    there = bound_groups(LinkSets.of(group[order], 2, provider_there), weight[order], loss[order], other, NO_GUARD)
    assert there.high == pytest.approx(here.high, abs=1e-12)
    assert there.low == pytest.approx(here.low, abs=1e-12)


@given(st.lists(st.integers(0, 288).map(lambda slots: slots / 288), min_size=0, max_size=8), st.integers(1, 90))
def test_the_guard_is_the_variance_of_a_mean_of_correlated_days(daily, days) -> None:
    """The guard equals its formula day by day; an unknown day at either end changes nothing."""
    column = np.array([np.nan, *daily, np.nan])[:, np.newaxis]
    found = CommonModeGuard.of(list(column)).over(days)
    columns = (found.variance, found.more, found.more_square)
    assert [float(one[0]) for one in columns] == pytest.approx(oracle.guard_of(daily, days), rel=1e-9, abs=1e-12)


def alone(known: float, down: float, outages: float, squares: float) -> OutageTotals:
    """Return the sums of one cause."""
    return OutageTotals(*(np.array([float(value)]) for value in (known, down, outages, squares)))


@pytest.mark.parametrize(
    ("sums", "low", "high"),
    [
        ((0, 0, 0), 0.0, 0.014732),
        ((6, 1, 36), 0.000100, 0.051471),
        ((6, 3, 14), 0.001090, 0.029250),
        ((20, 10, 80), 0.009862, 0.063003),
    ],
)
def test_vectors(sums, low, high) -> None:
    """One cause alone, its own pool, record = window, K = 672 h: the vectors of §6, to their last digit."""
    cause = alone(672, *sums)
    found = bound_sets(cause_moments(cause, estimate_lengths(cause, pool_causes(cause))))
    assert [round(float(value[0]), 6) for value in (found.low, found.high)] == [low, high]


def test_vector_of_an_unseen_bus() -> None:
    """A bus that was never seen down in a record of 2,160 h: the vector of §6."""
    found = bound_bus(alone(672, 0, 0, 0), alone(2160, 0, 0, 0))
    assert [round(float(value[0]), 6) for value in (found.low, found.high)] == [0.0, 0.005621]


def test_a_bus_that_was_down_throughout_may_yet_come_back() -> None:
    """Such a bus has a loss of 1, but one more time up, as long as those of its record, bounds it from below."""
    found = bound_bus(alone(100, 100, 1, 10_000), alone(500, 120, 3, 10_000))
    assert found.loss[0] == found.high[0] == 1.0
    assert 0.0 < found.low[0] < 1.0


def test_an_unknown_bus_changes_nothing() -> None:
    """Where nothing is known of the bus, the providers' bounds are those of the index."""
    providers = LossBounds(*(np.array([value]) for value in (0.1, 0.05, 0.2)))
    nothing = alone(0, 0, 0, 0)
    assert rows(combine_with_bus(providers, bound_bus(nothing, nothing))) == [pytest.approx((0.1, 0.05, 0.2))]


def test_more_of_the_same_is_known_better() -> None:
    """When all sums grow alike, the interval closes on the loss from both sides."""
    widths: list[Any] = []
    for times in (1, 10, 100, 10_000):
        cause = alone(*(times * value for value in (672, 20, 10, 80)))
        found = bound_sets(cause_moments(cause, estimate_lengths(cause, pool_causes(cause))))
        widths.append(float((found.high - found.low)[0]))
    assert widths == sorted(widths, reverse=True)
    assert widths[-1] < 1e-3


def test_longer_outages_are_wider() -> None:
    """The same downtime in fewer outages has a wider interval on both sides, because it is fewer draws."""
    found = [
        bound_sets(cause_moments(cause, estimate_lengths(cause, pool_causes(cause))))
        for cause in (alone(672, 20, outages, 2 * 400 / (outages + 1)) for outages in (1, 2, 5, 20))
    ]
    assert [float(one.high[0]) for one in found] == sorted((float(one.high[0]) for one in found), reverse=True)
    assert [float(one.low[0]) for one in found] == sorted(float(one.low[0]) for one in found)


def test_always_down_is_mirrored() -> None:
    """A cause that was always down has an upper bound of 1, and a lower one that leaves room for one short up-spell."""
    cause = alone(672, 672, 1, 672**2)
    found = bound_sets(cause_moments(cause, estimate_lengths(cause, PooledLengths(2.0, 8.0, 0.0))))
    assert float(found.high[0]) == 1.0
    assert 0.9 < float(found.low[0]) < 1.0


def test_quantiles_are_read_from_the_table_as_numpy_reads_it() -> None:
    """At, between and beyond the points of the table, a quantile equals that of ``np.interp``."""
    grid = _table(0.975).grid
    places = np.concatenate([grid, np.nextafter(grid, -99), np.nextafter(grid, 99), (grid[1:] + grid[:-1]) / 2])
    places = np.append(places, [grid[0] - 1, grid[-1] + 1])
    expected = np.interp(places, grid, _table(0.975).values)
    np.testing.assert_allclose(_table(0.975).at(places), expected, rtol=1e-14, atol=0)
