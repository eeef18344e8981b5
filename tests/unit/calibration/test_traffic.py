"""Simulated traffic follows its scenarios however it is drawn, and simple detectors judge as specified."""

from __future__ import annotations

import re
from collections import Counter

import numpy as np
import pytest

from tests.calibration.traffic.figures import ENOUGH, causes_of, found_of, median_of, rates_of, share_of
from tests.calibration.traffic.scenarios import FAULTS, SCENARIOS, SEED
from tests.calibration.traffic.simple import RecentWeeks, XRoad, band, sigma
from tests.calibration.traffic.simulate import WEEK, Effects, Government, Parts
from tests.calibration.traffic.trial import Quiet, TriedCause, TriedFault
from tests.support.paths import ROOT

SMALL = Parts(flows=40, buses=1, providers=3, services=6, consumers=10)
PAGE = ROOT / "docs" / "traffic.md"


def of(name: str, weeks: int = 3) -> Government:
    return Government(next(one for one in SCENARIOS if one.name == name), 0, weeks, SMALL)


@pytest.mark.parametrize("name", [one.name for one in SCENARIOS])
def test_a_week_is_the_same_whenever_it_is_drawn(name: str) -> None:
    """A week depends only on scenario, life and number."""
    alone, after = of(name).draw(2), list(of(name).all_weeks())[2]
    for field in ("count", "bus", "provider", "repeats", "durations", "size"):
        assert np.array_equal(getattr(alone, field), getattr(after, field)), field
    assert alone.durations.sum() == alone.count.sum()


def test_pure_chance_is_poisson() -> None:
    """In the steady scenario counts have the mean and variance of their rates."""
    government = of("steady", weeks=8)
    counts = np.hstack([week.count for week in government.all_weeks()])
    off = (counts - government.rate[:, None]) / np.sqrt(government.rate[:, None])
    assert abs(off.mean()) < 0.02
    assert abs(off.var() - 1.0) < 0.05


def test_faults_do_what_they_say() -> None:
    """A stop leaves nothing, failures reach their share, and durations double."""
    government = of("steady")
    busy = int(government.rate.argmax())
    effects = Effects.none(len(government.rate))
    effects.left[0] = 0.0
    effects.provider[busy] = 0.2
    effects.slow[busy] = 2.0
    usual, faulty = government.draw(1), government.draw(1, effects)
    assert faulty.count[0].sum() == 0
    share = (
        faulty.provider[busy].sum() / faulty.count[busy].sum() - usual.provider[busy].sum() / usual.count[busy].sum()
    )
    assert share == pytest.approx(0.2, abs=0.01)
    middles = np.arange(faulty.durations.shape[2])
    mean = [(week.durations[busy].sum(axis=0) * middles).sum() / week.count[busy].sum() for week in (usual, faulty)]
    assert mean[1] - mean[0] == pytest.approx(1.0, abs=0.1)  # each bucket is twice the one before


def test_simple_detectors_see_a_fall_and_not_the_usual() -> None:
    """After steady weeks each detector flags an hour at a fifth of the usual. X-Road Metrics misses an empty hour."""
    usual = np.full((1, WEEK), 1_000) + np.arange(WEEK) % 7
    fallen = usual.copy()
    fallen[0, 30] = 200
    fallen[0, 60] = 0
    for detector, sees_silence in ((RecentWeeks(sigma), True), (RecentWeeks(band), True), (XRoad(), False)):
        for week in range(14):
            assert not detector.judge(usual + week % 3).any()
        alarms = detector.judge(fallen)
        assert alarms[0, 30] == -1
        assert bool(alarms[0, 60] == -1) is sees_silence


def test_rates_have_intervals() -> None:
    """Ten findings in 52 weeks are .19 a week. Each bound is the wider of a Poisson count's and that of the weeks."""
    weekly = {name: [1] * 10 + [0] * 42 for name in ("ours", "mean ± 3σ", "X-Road Metrics", "median and MAD")}
    quiet = Quiet("steady", 1_000, weekly, by_kind=Counter())
    rate = rates_of([quiet])
    assert (rate.flow_weeks, rate.found["ours"]) == (52_000, 10)
    assert (rate.low["ours"], rate.high["ours"]) == pytest.approx((0.0841, 0.3537), abs=0.0005)


def test_delays_are_counted_in_floors() -> None:
    """A case counts if enough can be exchanged; `within` counts those found before the requested multiple."""
    stop = FAULTS[0]
    cases = [
        TriedFault(stop, could, {"ours": passed}, {"ours": 2.0}, 0.0, 1)
        for could, passed in ((100.0, 10.0), (100.0, 30.0), (100.0, None), (ENOUGH * 13.8 - 1, 1.0))
    ]
    found = found_of(cases, stop, "ours")
    assert found.cases == 3
    assert (found.found.value, found.within.value) == pytest.approx((2 / 3, 1 / 3))


def test_figures_have_intervals() -> None:
    """Wilson's interval of 8 in 10 is .490 to .943. The median of 1 to 15 lies between the fourth and the twelfth."""
    assert share_of([1] * 8 + [0] * 2) == pytest.approx((0.8, 0.4902, 0.9433), abs=0.0001)
    assert median_of(range(1, 16)) == (8, 4, 12)
    assert median_of([1, 2, np.inf]).value == 2
    assert np.isnan([*share_of(()), *median_of(())]).all()


def test_all_causes_are_summed() -> None:
    """Each cause has a row of its cases, and all have one. A finding of the right flows may name the wrong cause."""
    cases = [
        TriedCause("bus", "stop", 1, 1, ("bus",)),
        TriedCause("service", "stop", 2, 1, ("provider",)),
        TriedCause("bus", "stop", 0, 0),
    ]
    bus, every = causes_of(cases, "bus"), causes_of(cases)
    assert (bus.cases, bus.found.value, bus.one.value, bus.right.value) == (2, 0.5, 1, 1)
    assert (every.cases, every.found.value, every.one.value, every.right.value) == pytest.approx((3, 2 / 3, 1, 0.5))


def test_the_page_is_of_these_scenarios() -> None:
    """A change of the seed or a scenario requires another run of the trial."""
    page = PAGE.read_text("utf-8")
    assert f"Seed {SEED}." in page
    assert re.findall(r"^\* ([\w-]+): (.+)\.$", page.split("## Scenarios")[1], re.MULTILINE) == [
        (one.name, one.about + (" (known weak spot)" if one.weak else "")) for one in SCENARIOS
    ]
