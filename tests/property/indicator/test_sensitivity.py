"""Rank bands, and which switch moves ranks how far (docs/method.md §7.6)."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.core.model.indicator import IndicatorKind
from services.core.model.measurement import MeasurementColumns
from services.core.model.outcome import Outcome
from services.indicator.calendar import Calendar
from services.indicator.evidence import Evidence
from services.indicator.frozen_evidence import FrozenEvidence
from services.indicator.index.index import compute_indicators
from services.indicator.register_arrays import RegisterArrays
from services.indicator.sensitivity.cases import compute_cases, reweight
from services.indicator.sensitivity.ranks import analyse_ranks, rank_descending
from tests.support.cases.api.indicator_answers import register_of
from tests.support.cases.indicator import Case, cases
from tests.support.cases.sensitivity import TAU_MS, alike, counted, limited, measured


@settings(max_examples=8)
@given(cases())
def test_the_headline_is_one_of_the_cases(case: Case) -> None:
    """The base case is L of the live index to the last bit, ranks are by it, and every band holds its agency's rank."""
    register = limited(case)
    batches = measured(case, register)
    windows = tuple(sorted({1, 2, case.days}))
    arrays, found = counted(case, register, batches, windows)
    evidence = Evidence(Calendar.of(register.policy))
    for batch in batches:
        evidence.take(batch)
    live = compute_indicators(FrozenEvidence.of(arrays, evidence, case.end_slot, [case.days]))
    volumes = np.array([case.rng.choice([0, 5, 70]) for _ in arrays.links])
    rankings = analyse_ranks(arrays, found, windows=windows, window=case.days, volumes=volumes)
    for ranking, kind in zip(rankings, (IndicatorKind.CONSUMER, IndicatorKind.PROVIDER), strict=True):
        lower = {row.id: row.lower for row in live.rows(kind, case.days)}
        whole = compute_cases(arrays, found, kind, windows=windows, window=case.days, volumes=volumes)
        base = dict(zip(whole.ids, whole.values[whole.base], strict=True))
        assert {agency: value for agency, value in base.items() if not np.isnan(value)} == lower
        better = {one: sum(other > mine + 1e-12 for other in lower.values()) for one, mine in lower.items()}
        assert ranking.ranks == {agency: 1 + ahead for agency, ahead in better.items()}
        for agency, own in ranking.ranks.items():
            band = ranking.bands[agency]
            assert 1 <= band.low <= own <= band.high <= len(lower)


def with_outcome(batches: list[MeasurementColumns], outcome: Outcome) -> list[MeasurementColumns]:
    """Return the same batches, all with one outcome, quick and fresh."""
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
    arrays, found = counted(case, register, batches, (1, 2))
    for ranking in analyse_ranks(arrays, found, windows=(1, 2), window=2, volumes=np.arange(6)):
        assert set(ranking.ranks.values()) == {1}
        assert {(band.low, band.high) for band in ranking.bands.values()} == {(1, 1)}
        assert (ranking.moved.mean_rank_shift, [one.total_order for one in ranking.moved.switches]) == (0.0, [0.0] * 6)
        assert ranking.moved.cases == (324 if ranking.kind is IndicatorKind.CONSUMER else 162) * 2 // 3


def test_every_case_ranks_the_agencies_of_the_headline() -> None:
    """An agency whose links ended before the headline's window has no rank, and moves no other in a window that has it."""
    case = alike()
    for link in case.register["links"]:
        link["required_until"] = date(2026, 1, 2) if link["service"] == "s-a0" else None
    register = limited(case)
    batches = with_outcome(measured(case, register, gap=0.0), Outcome.OK)
    fails = np.array([register.links[target.id].service != "s-a0" for target in batches[0].targets])
    batches = [
        replace(batch, outcome=np.where(fails[batch.target], Outcome.INVALID, batch.outcome).astype(np.uint8))
        for batch in batches
    ]
    arrays, found = counted(case, register, batches, (1, 2))
    whole = compute_cases(arrays, found, IndicatorKind.CONSUMER, windows=(1, 2), window=1, volumes=None)
    assert not np.isnan(whole.values[..., 1, :, 0]).any()
    consumers, _ = analyse_ranks(arrays, found, windows=(1, 2), window=1)
    assert consumers.ranks == {"a1": 1, "a2": 1}
    assert {(band.low, band.high) for band in consumers.bands.values()} == {(1, 1)}
    assert consumers.moved.mean_rank_shift == 0.0


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
    arrays, found = counted(case, register, batches, (1, 2))
    _, providers = analyse_ranks(arrays, found, windows=(1, 2), window=2)
    assert (providers.ranks, providers.bands["a1"].high) == ({"a0": 1, "a1": 1, "a2": 1}, 3)
    indices = {one.switch: (one.total_order, one.first_order) for one in providers.moved.switches}
    assert indices.pop("latency limit") == pytest.approx((1, 1), abs=0.02)
    assert set(indices.values()) == {(0.0, 0.0)}


@given(st.lists(st.sampled_from([0.0, 0.5, 0.5 + 1e-15, 0.5 + 1e-9, 1.0, float("nan")]), max_size=8))
def test_ranks_count_who_is_better(values: list[float]) -> None:
    """A rank is one more than the number that are better by more than rounding; ties share it, and NaN has none."""
    found = rank_descending(np.array([values, values]))
    wanted = [np.nan if np.isnan(own) else 1 + sum(other > own + 1e-12 for other in values) for own in values]
    np.testing.assert_array_equal(found, [wanted, wanted])


WEIGHED = [
    ("service", [1, 1, 1, 1, 1, 1], [1, 1, 1]),
    ("link", [1, 1, 1, 1, 1, 1], [2, 2, 2]),
    ("volume", [10, 30, 50, 50, 30, 30], [40, 100, 60]),
]


@pytest.mark.parametrize(("weights", "of_links", "of_services"), WEIGHED)
def test_weights(weights: str, of_links: list[float], of_services: list[float]) -> None:
    """A link without logged exchanges weighs the average of its service's links, or else of all; a service their sum."""
    arrays = RegisterArrays.of(register_of(alike().register))
    found = reweight(arrays, weights, np.ones(6, np.bool_), np.array([10, 30, 50, 0, 0, 0]))
    assert (found.weight.tolist(), found.service_weight.tolist()) == (of_links, of_services)


def test_what_weighs_nothing_never_does() -> None:
    """Links that weigh nothing in the register, or are not in force, count in no case, whatever they carry."""
    case = alike()
    case.register["links"][0]["weight"] = 0
    case.register["services"][2]["weight"] = 0
    arrays = RegisterArrays.of(register_of(case.register))
    in_force = np.array([True, True, True, False, True, True])
    for weights, service_weights in (("link", [1, 1, 0]), ("volume", [7, 7, 0])):
        found = reweight(arrays, weights, in_force, np.full(6, 7))
        assert found.service_weight.tolist() == service_weights
