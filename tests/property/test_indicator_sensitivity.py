"""Rank bands and Sobol' indices (INDICATOR.md §7, Sensitivity; the vectors of §9)."""

from __future__ import annotations

import random
from dataclasses import replace
from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import uniform

from services.core.evidence import Kind, MeasurementColumns, Target
from services.core.model import Register
from services.core.outcome import OUTCOME_OF, Outcome, Reason
from services.indicator.calendar import Calendar
from services.indicator.cases import FACTORS, compute, reweigh
from services.indicator.frame import Frame
from services.indicator.index import indicators
from services.indicator.recount import recount
from services.indicator.rejudge import Limits, rejudge
from services.indicator.sensitivity import analyse, rank
from services.indicator.sobol import estimate
from services.indicator.window import Evidence
from tests.property.indicator_cases import VANTAGES, Case, cases, register_of

TAU_MS, PHI_S = 2000, 3600
REASONS = [Reason.OK, Reason.OK, Reason.LATE, Reason.STALE, Reason.STATUS, Reason.RESOLVE_FAILED, Reason.SHED]


def limited(case: Case) -> Register:
    """The case's register, with a limit of age for some links."""
    register = register_of(case.register)
    links = {
        name: replace(link, latency_ms=TAU_MS, max_age_s=PHI_S if index % 3 else None)
        for index, (name, link) in enumerate(register.links.items())
    }
    return replace(register, links=links)


def measured(case: Case, register: Register, *, gap: float = 0.2) -> list[MeasurementColumns]:
    """Measurements of all links with latencies and ages that agree with their outcomes, or are not known."""
    rng = case.rng
    targets = tuple(Target(link) for link in register.links)
    seconds = register.policy.slot_seconds
    first = Calendar.of(register.policy).epoch_slot
    columns = []
    for vantage in VANTAGES[: rng.randint(1, 3)]:
        rows = []
        for target, slot in product(range(len(targets)), range(first, case.end_slot + 2)):
            if rng.random() < gap:
                continue
            limit = register.links[targets[target].id].max_age_s
            reason = rng.choice(REASONS)
            latency = rng.choice([-1, rng.randrange(TAU_MS * 4000)])
            age = rng.choice([-1, rng.randrange(PHI_S * 4_000_000)])
            if OUTCOME_OF[reason] >= Outcome.LATE and latency >= 0:
                late, stale = latency > TAU_MS * 1000, limit is not None and age > limit * 1_000_000
                reason = Reason.LATE if late else Reason.STALE if stale else Reason.OK
            rows.append((target, slot * seconds, slot * seconds * 10**6 + rng.randrange(3), reason, latency, age))
        rng.shuffle(rows)
        target, slot_start, time, reasons, latency, age = map(list, zip(*rows, strict=True)) if rows else [[]] * 6
        columns.append(
            MeasurementColumns(
                vantage=vantage,
                targets=targets,
                target=np.array(target, np.int64),
                slot_start=np.array(slot_start, np.int64),
                time=np.array(time, np.int64),
                outcome=np.array([OUTCOME_OF[one] for one in reasons], np.uint8),
                reason=np.array(reasons, np.uint8),
                latency=np.array(latency, np.int64),
                data_age=np.array(age, np.int64),
            )
        )
    return columns


def counted(case: Case, register: Register, batches: list[MeasurementColumns], windows: tuple[int, ...]):
    frame = Frame.of(register)
    return frame, recount(register, frame, batches, end_slot=case.end_slot, windows=windows, factors=FACTORS)


def edited(batches: list[MeasurementColumns], register: Register, tau: float, phi: float) -> list[MeasurementColumns]:
    """The same measurements, each judged by hand under other limits."""
    result = []
    for batch in batches:
        outcomes = []
        rows = zip(batch.target, batch.outcome, batch.latency, batch.data_age, strict=True)
        for target, outcome, latency, age in rows:
            limit = register.links[batch.targets[target].id].max_age_s
            if outcome < Outcome.LATE:
                outcomes.append(outcome)
                continue
            late, stale = outcome == Outcome.LATE, outcome == Outcome.STALE
            if latency >= 0 and tau != 1:
                late = latency / 1000 > tau * TAU_MS
            if age >= 0 and limit is not None and (phi != 1 or outcome == Outcome.LATE):
                stale = age / 1e6 > phi * limit
            outcomes.append(Outcome.LATE if late else Outcome.STALE if stale else Outcome.OK)
        result.append(replace(batch, outcome=np.array(outcomes, np.uint8)))
    return result


@settings(max_examples=15, deadline=None)
@given(cases())
def test_switches_of_limits_equal_a_score_of_edited_measurements(case: Case) -> None:
    """Each pair of factors counts what the live code counts of measurements that were judged anew one by one."""
    register = limited(case)
    batches = measured(case, register)
    frame, found = counted(case, register, batches, (case.days,))
    for tau, phi in product(FACTORS, FACTORS):
        evidence = Evidence(Calendar.of(register.policy))
        for batch in edited(batches, register, tau, phi):
            evidence.take(batch)
        wanted, got = evidence.window(frame, case.days, case.end_slot), found[tau, phi, case.days]
        for name in ("slots", "counts", "service_slots", "up", "down"):
            assert getattr(got, name).tolist() == getattr(wanted, name).tolist(), (tau, phi, name)


@settings(max_examples=8, deadline=None)
@given(cases())
def test_the_headline_is_one_of_the_cases(case: Case) -> None:
    """The base case is L of the live index to the last bit, ranks are by it, and every band holds its agency's rank."""
    register = limited(case)
    batches = measured(case, register)
    windows = tuple(sorted({1, 2, case.days}))
    frame, found = counted(case, register, batches, windows)
    evidence = Evidence(Calendar.of(register.policy))
    for batch in batches:
        evidence.take(batch)
    live = indicators(frame, evidence, end_slot=case.end_slot, windows=[case.days])
    volumes = np.array([case.rng.choice([0, 5, 70]) for _ in frame.links])
    rankings = analyse(frame, found, windows=windows, window=case.days, volumes=volumes)
    for ranking, kind in zip(rankings, (Kind.CONSUMER, Kind.PROVIDER), strict=True):
        lower = {row.id: row.lower for row in live.rows(kind, case.days)}
        whole = compute(frame, found, kind, windows=windows, window=case.days, volumes=volumes)
        base = dict(zip(whole.ids, whole.values[whole.base], strict=True))
        assert {agency: value for agency, value in base.items() if not np.isnan(value)} == lower
        better = {one: sum(other > mine + 1e-12 for other in lower.values()) for one, mine in lower.items()}
        assert ranking.ranks == {agency: 1 + ahead for agency, ahead in better.items()}
        for agency, own in ranking.ranks.items():
            band = ranking.bands[agency]
            assert 1 <= band.low <= own <= band.high <= len(lower)


def alike(*, days: int = 2) -> Case:
    """Three agencies, each of which has a service that asks the two others; slots of an hour."""
    names = ["a0", "a1", "a2"]
    links = [
        {
            "id": f"{own}-{other}",
            "service": f"s-{own}",
            "provider": other,
            "required_from": None,
            "required_until": None,
            "live_from": "always",
            "vantages": (),
            "weight": 1,
        }
        for own in names
        for other in names
        if own != other
    ]
    register = {
        "government": "gov",
        "timezone": "UTC",
        "epoch": 1_767_225_600,
        "slot_seconds": 3600,
        "threshold": Fraction(4, 5),
        "agencies": [{"id": name, "sector": "x"} for name in names],
        "services": [{"id": f"s-{name}", "agency": name, "weight": 1} for name in names],
        "links": links,
        "endpoints": [],
    }
    return Case(register, [], days, 1_767_225_600 // 3600 + 60, random.Random(3))


def with_outcome(batches: list[MeasurementColumns], outcome: Outcome) -> list[MeasurementColumns]:
    """The same, all with one outcome, quick and fresh."""
    return [
        replace(
            batch,
            outcome=np.full(len(batch), outcome, np.uint8),
            latency=np.full(len(batch), 1000),
            data_age=np.full(len(batch), 1000),
        )
        for batch in batches
    ]


@pytest.mark.parametrize("outcome", [Outcome.OK, Outcome.INVALID, Outcome.UNKNOWN])
def test_where_nothing_differs_nothing_matters(outcome: Outcome) -> None:
    """With all agencies alike, good, bad or unknown, all are first in every case and every index is 0."""
    case = alike()
    register = limited(case)
    batches = with_outcome(measured(case, register, gap=0.0), outcome)
    frame, found = counted(case, register, batches, (1, 2))
    for ranking in analyse(frame, found, windows=(1, 2), window=2, volumes=np.arange(6)):
        assert set(ranking.ranks.values()) == {1}
        assert {(band.low, band.high) for band in ranking.bands.values()} == {(1, 1)}
        assert (ranking.moved.mean_rank_shift, [one.total_order for one in ranking.moved.switches]) == (0.0, [0.0] * 6)
        assert ranking.moved.cases == (324 if ranking.kind is Kind.CONSUMER else 162) * 2 // 3


def test_only_the_switch_that_matters_has_an_index() -> None:
    """Where one provider alone is slower than half its limit, τ carries all the variance and no other switch any."""
    case = alike()
    register = limited(case)
    batches = [
        replace(
            batch,
            latency=np.where(
                np.array([register.links[target.id].provider == "a1" for target in batch.targets])[batch.target],
                TAU_MS * 600,
                1000,
            ),
        )
        for batch in with_outcome(measured(case, register, gap=0.0), Outcome.OK)
    ]
    frame, found = counted(case, register, batches, (1, 2))
    _, providers = analyse(frame, found, windows=(1, 2), window=2)
    assert (providers.ranks, providers.bands["a1"].high) == ({"a0": 1, "a1": 1, "a2": 1}, 3)
    indices = {one.switch: (one.total_order, one.first_order) for one in providers.moved.switches}
    assert indices.pop("latency limit") == pytest.approx((1, 1), abs=0.02)
    assert set(indices.values()) == {(0.0, 0.0)}


@given(st.lists(st.sampled_from([0.0, 0.5, 0.5 + 1e-15, 0.5 + 1e-9, 1.0, float("nan")]), max_size=8))
def test_ranks_count_who_is_better(values: list[float]) -> None:
    """A rank is one more than how many are better by more than rounding; ties share it, and NaN has none."""
    found = rank(np.array([values, values]))
    wanted = [np.nan if np.isnan(own) else 1 + sum(other > own + 1e-12 for other in values) for own in values]
    np.testing.assert_array_equal(found, [wanted, wanted])


WEIGHED = [
    ("service", [1, 1, 1, 1, 1, 1], [1, 1, 1]),
    ("link", [1, 1, 1, 1, 1, 1], [2, 2, 2]),
    ("volume", [10, 30, 50, 50, 30, 30], [40, 100, 60]),
]


@pytest.mark.parametrize(("weights", "of_links", "of_services"), WEIGHED)
def test_weights(weights: str, of_links: list[float], of_services: list[float]) -> None:
    """A link without logged exchanges weighs as its service's links do on average, else as all; a service their sum."""
    frame = Frame.of(register_of(alike().register))
    found = reweigh(frame, weights, np.ones(6, np.bool_), np.array([10, 30, 50, 0, 0, 0]))
    assert (found.weight.tolist(), found.service_weight.tolist()) == (of_links, of_services)


def test_what_weighs_nothing_never_does() -> None:
    """Links that weigh nothing in the register, or are not in force, count in no case, whatever they carry."""
    case = alike()
    case.register["links"][0]["weight"] = 0
    case.register["services"][2]["weight"] = 0
    frame = Frame.of(register_of(case.register))
    in_force = np.array([True, True, True, False, True, True])
    for weights, service_weights in (("link", [1, 1, 0]), ("volume", [7, 7, 0])):
        found = reweigh(frame, weights, in_force, np.full(6, 7))
        assert found.service_weight.tolist() == service_weights


JUDGED = [
    # outcome, latency in ms, age in s, factors of τ and φ, what it becomes
    (Outcome.LATE, 2500, 100, 2, 1, Outcome.OK),
    (Outcome.LATE, 2500, 4000, 2, 1, Outcome.STALE),
    (Outcome.LATE, 2500, 4000, 2, 2, Outcome.OK),
    (Outcome.LATE, 2500, None, 2, 1, Outcome.OK),
    (Outcome.LATE, None, 100, 2, 1, Outcome.LATE),
    (Outcome.LATE, 4001, 100, 2, 1, Outcome.LATE),
    (Outcome.LATE, 4000, 100, 2, 1, Outcome.OK),
    (Outcome.LATE, 100, 100, 1, 1, Outcome.LATE),
    (Outcome.STALE, 100, 7200, 1, 2, Outcome.OK),
    (Outcome.STALE, 100, 7201, 1, 2, Outcome.STALE),
    (Outcome.STALE, 1001, 7200, 0.5, 2, Outcome.LATE),
    (Outcome.STALE, 100, None, 1, 2, Outcome.STALE),
    (Outcome.STALE, 100, 100, 1, 1, Outcome.STALE),
    (Outcome.OK, 1001, 100, 0.5, 1, Outcome.LATE),
    (Outcome.OK, 1000, 1801, 0.5, 0.5, Outcome.STALE),
    (Outcome.OK, 1000, None, 0.5, 0.5, Outcome.OK),
    (Outcome.OK, None, None, 0.5, 0.5, Outcome.OK),
    (Outcome.INVALID, 100, 100, 2, 2, Outcome.INVALID),
    (Outcome.NOT_ANSWERED, None, None, 2, 2, Outcome.NOT_ANSWERED),
    (Outcome.NOT_CONNECTED, None, None, 2, 2, Outcome.NOT_CONNECTED),
    (Outcome.UNKNOWN, 100, 100, 2, 2, Outcome.UNKNOWN),
]


@pytest.mark.parametrize(("outcome", "latency", "age", "tau", "phi", "wanted"), JUDGED)
def test_judged_anew(
    outcome: Outcome, latency: int | None, age: int | None, tau: float, phi: float, wanted: Outcome
) -> None:
    """Only what was right is judged anew, lateness before age; what is not known stays as it was judged."""
    case = alike()
    register = limited(case)
    limits = Limits.of(register, (Target("a0-a2"), Target("a0-a1")))
    assert limits.age.tolist() == [PHI_S * 1_000_000, -1]
    columns = MeasurementColumns(
        vantage="north",
        targets=(Target("a0-a2"),),
        target=np.array([0]),
        slot_start=np.array([0]),
        time=np.array([5]),
        outcome=np.array([outcome], np.uint8),
        reason=np.array([next(reason for reason, of in OUTCOME_OF.items() if of is outcome)], np.uint8),
        latency=np.array([-1 if latency is None else latency * 1000]),
        data_age=np.array([-1 if age is None else age * 1_000_000]),
    )
    found = rejudge(columns, limits, latency=tau, age=phi)
    assert (found.outcome.tolist(), OUTCOME_OF[Reason(found.reason[0])]) == ([wanted], wanted)
    with pytest.raises(ValueError, match="without their latencies and ages"):
        rejudge(replace(columns, latency=None), limits, latency=tau, age=phi)


def test_ishigami() -> None:
    """First and total order of Ishigami's function, a = 7 and b = 0.1, are the vectors of §9 within 4 standard errors."""

    def ishigami(x: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.sin(x[0]) + 7 * np.sin(x[1]) ** 2 + 0.1 * x[2] ** 4 * np.sin(x[0])

    found = estimate(ishigami, [uniform(-np.pi, 2 * np.pi)] * 3)
    for got, error, wanted in (
        (found.first, found.first_error, (0.3139, 0.4424, 0.0)),
        (found.total, found.total_error, (0.5576, 0.4424, 0.2437)),
    ):
        assert (np.abs(got - wanted) <= 4 * error + 0.00005).all()
        assert (error < 0.005).all()


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**32), st.lists(st.integers(1, 3), min_size=2, max_size=6))
def test_indices_of_a_table_equal_its_exact_variances(seed: int, shape: list[int]) -> None:
    """Sampled indices of a table agree with its analysis of variance over all cells: V(E(Y|i))/V, 1 - V(E(Y|all but i))/V."""
    table = np.random.default_rng(seed).normal(size=shape)
    last = np.array(shape)[:, np.newaxis] - 1
    found = estimate(
        lambda x: table[tuple(np.minimum(x.astype(int), last))], [uniform(0, states) for states in shape], samples=2048
    )
    for axis in range(len(shape)):
        others = tuple(other for other in range(len(shape)) if other != axis)
        variance = table.var() or 1.0
        first = table.mean(axis=others).var() / variance
        total = (table.var() - table.mean(axis=axis).var()) / variance
        assert found.first[axis] == pytest.approx(first, abs=8 * found.first_error[axis] + 5e-3)
        assert found.total[axis] == pytest.approx(total, abs=8 * found.total_error[axis] + 5e-3)
