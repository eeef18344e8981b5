"""Chance alone reaches a threshold no more often than stated, and evidence has the ratios of its distributions."""

from __future__ import annotations

import numpy as np
import pytest

from services.indicator.findings.dispersion import Dispersion
from services.indicator.findings.evidence import ChangeEvidence, JudgedCounts
from services.indicator.findings.kinds import FACTOR, SIDE_OF_TEST, SIDES, UP_TEST, Family

VOLUMES = np.array([SIDES[side].family is Family.VOLUME for side in SIDE_OF_TEST])
TESTS = len(SIDE_OF_TEST)


def add(evidence: ChangeEvidence, count: np.ndarray | float, mean: float, step: int, *, size: float = 1e6) -> None:
    """Add a step of equal means to all rows. Days differ by a gamma factor of this size, and hours by counts alone."""
    shape = evidence.today.shape
    ones, factor = np.ones(shape), np.broadcast_to(np.where(VOLUMES, FACTOR, 2.0)[:, None], shape)
    spread = unsure = np.zeros(shape)
    counts = JudgedCounts(np.broadcast_to(count, shape), mean * ones, ones, size * ones, spread, unsure)
    evidence.add(counts, factor=factor, step=step)


def end_day(evidence: ChangeEvidence, step: int) -> None:
    """End a day of rows that are alike and all judged by hours."""
    rows = evidence.today.shape[1]
    judged = np.ones((len(SIDES), rows), np.bool_)
    evidence.end_day(judged, judged, ~judged[0], np.zeros(rows, np.int64), 1.0, step)


@pytest.mark.parametrize("size", [3.0, 50.0])
def test_chance_reaches_a_threshold_no_oftener_than_stated(size: float) -> None:
    """If days differ by a gamma factor, log A is reached in at most one of A steps, over 400 rows and 1,500 steps."""
    rng = np.random.default_rng(5)
    rows, steps, threshold = 400, 1_500, 200.0
    evidence = ChangeEvidence.empty(rows)
    alarms = np.zeros(TESTS)
    for step in range(steps):
        if step % 24 == 0:
            end_day(evidence, step)
            of_day = rng.gamma(size, 1 / size, rows)
        count = np.repeat(rng.poisson(3.0 * of_day)[None], TESTS, axis=0).astype(float)
        add(evidence, count, 3.0, step, size=size)
        found = evidence.summed() >= np.log(threshold)
        alarms += found.sum(axis=1)
        for side in range(len(SIDES)):
            evidence.forget(side, np.flatnonzero(found[side == SIDE_OF_TEST].any(axis=0)), step)
    assert alarms.max() <= rows * steps / threshold
    assert alarms[VOLUMES].sum() > 0, "the threshold is never reached: the test shows nothing"


def test_a_day_of_counts_gives_the_ratio_of_its_sum() -> None:
    """Within a day counts are Poisson, so its hours give the evidence of their sum under two negative binomials."""
    from scipy.stats import nbinom  # noqa: PLC0415  # every worker collects this, but only one runs it

    size, counts, means = 7.0, [2, 0, 5, 1], [4.0, 3.0, 6.0, 5.0]
    evidence = ChangeEvidence.empty(1)
    for step, (count, mean) in enumerate(zip(counts, means, strict=True)):
        add(evidence, count, mean, step, size=size)
    test = int(np.flatnonzero(FACTOR == 0.5)[0])
    seen, usual = sum(counts), sum(means)
    expected = nbinom.logpmf(seen, size, size / (size + usual / 2)) - nbinom.logpmf(seen, size, size / (size + usual))
    assert evidence.today[test, 0] == pytest.approx(expected)
    assert evidence.begun[test, 0] == 0


def test_silence_is_as_sure_as_nothing_is_unlikely() -> None:
    """Without exchanges, the evidence of a stop is minus the logarithm of their chance. One exchange resets it."""
    evidence = ChangeEvidence.empty(1)
    stop = int(np.flatnonzero(FACTOR == 0.0)[0])
    for step in range(5):
        add(evidence, 0.0, 2.0, step, size=1e12)
    assert evidence.total()[stop, 0] == pytest.approx(5 * 2.0, rel=1e-3)
    add(evidence, 1.0, 2.0, 5, size=1e12)
    assert evidence.total()[stop, 0] == 0
    assert evidence.begun[stop, 0] == 6


def test_a_day_adds_no_more_than_such_days_are_rare() -> None:
    """Another burst proves less for a row with bursts on two days of three than for a row with none."""
    evidence = ChangeEvidence.empty(2)
    rise = int(np.flatnonzero(UP_TEST & VOLUMES)[0])
    for day in range(30):
        many = 40.0 if day % 3 else 5.0
        counts = np.repeat(np.array([[many, 5.0]]), TESTS, axis=0)
        add(evidence, counts, 5.0, day)
        end_day(evidence, day + 1)
        evidence.forget(int(SIDE_OF_TEST[rise]), np.arange(2), day)
    add(evidence, 40.0, 5.0, 30)
    often, never = evidence.total()[rise].tolist()
    assert often < 1.2
    assert never > 2 * often


def test_days_with_little_bound_what_falls_prove_and_not_silence() -> None:
    """A row that often has a tenth of its exchanges proves little of a fall by such a day. A stop is still proven."""
    evidence = ChangeEvidence.empty(2)
    fall, stop = (int(np.flatnonzero(factor == FACTOR)[0]) for factor in (0.2, 0.0))

    for day in range(30):
        add(evidence, 4.0 if day % 2 == 0 else 90.0, 40.0, day)
        end_day(evidence, day + 1)
        if day % 2:
            assert evidence.total()[fall].max() == 0
    add(evidence, 0.0, 40.0, 30)
    assert evidence.today[fall, 0] > 20
    assert evidence.total()[fall, 0] < 2
    assert evidence.total()[stop, 0] > 20


def test_that_nothing_is_left_of_many_is_no_straying() -> None:
    """In hours that stray by a fifth, an hour with none of a thousand exchanges is certain evidence. Half is not."""
    evidence = ChangeEvidence.empty(1)
    shape = evidence.today.shape
    ones, unsure = np.ones(shape), np.zeros(shape)
    factor = np.broadcast_to(np.where(VOLUMES, FACTOR, 2.0)[:, None], shape)
    counts = JudgedCounts(0.0 * ones, 1e3 * ones, ones, 1e6 * ones, 0.04 * ones, unsure)
    evidence.add(counts, factor=factor, step=0)
    stop, half = (int(np.flatnonzero(factor == FACTOR)[0]) for factor in (0.0, 0.5))
    assert evidence.total()[stop, 0] == pytest.approx(np.log1p(40.0) / 0.04, rel=1e-3)
    assert evidence.total()[half, 0] < 15.0


def test_quiet_days_that_differ_say_little_of_busy_ones() -> None:
    """Days of rest that are not as expected do not make other days count as straying."""
    dispersion = Dispersion.empty(1)
    one = np.ones((len(SIDES), 1))
    for day in range(70):
        rests = day % 7 == 6
        mean, count = (20.0, 8.0) if rests else (400.0, 400.0 + 20.0 * (-1) ** day)
        dispersion.learn_day(count * one, mean * one, one > 0, 1)
    assert dispersion.of_days().max() < 0.02
