"""The invariants of docs/method.md §8 on indexes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.support.cases.api.indicator_answers import (
    assert_same,
    index_of,
    measured,
    register_of,
    snapshot,
)
from tests.support.cases.indicator import SLACK, Case, cases, examples


@examples
@given(cases())
def test_invariant_01_bounds_enclose_the_point(case: Case) -> None:
    """0 ≤ L ≤ point ≤ U ≤ 1 without any slack for rounding, and U - L = 1 - κ."""
    for key, one in index_of(case).items():
        assert 0 <= one["lower"] <= one["upper"] <= 1, key
        if one["estimate"] is not None:
            assert one["lower"] <= one["estimate"] <= one["upper"], key
        assert one["upper"] - one["lower"] == pytest.approx(1 - one["known_share"], abs=SLACK)
        if one["strict"] is not None:
            point, lower, upper = one["strict"]
            assert 0 <= lower <= upper <= 1, key
            assert point is None or lower - SLACK <= point <= upper + SLACK, key


@examples
@given(cases())
def test_invariant_02_raising_an_outcome_never_lowers_the_index(case: Case) -> None:
    """Raising outcomes by a stage lowers neither point, L, U nor E anywhere, and leaves κ as it is."""
    better = case.copy()
    better.measurements = [
        (*row[:5], row[5] + 1) if row[5] is not None and row[5] < 5 and case.rng.random() < 0.3 else row
        for row in case.measurements
    ]
    before, after = index_of(case), index_of(better)
    assert set(before) == set(after)
    for key, one in before.items():
        other = after[key]
        assert other["known_share"] == one["known_share"]
        for name in ("estimate", "lower", "upper"):
            assert (one[name] is None) == (other[name] is None)
            assert one[name] is None or other[name] >= one[name] - SLACK, (key, name)
        for strict, raised in zip(one["strict"] or (), other["strict"] or (), strict=True):
            # A slot that fails at one link alone is no longer known when that one is OK and another unknown.
            assert strict is None or raised is None or raised >= strict - SLACK, key


@examples
@given(cases(whole=True), st.integers(0, 4))
def test_invariant_03_all_ok_is_one_and_all_failed_is_zero(case: Case, failure: int) -> None:
    """Every slot OK gives 1 with bounds [1, 1] and E = 1; every slot known and failed gives 0."""
    for stage, value in ((5, 1.0), (failure, 0.0)):
        case.measurements = [(*row[:5], stage) for row in case.measurements]
        for key, one in index_of(case).items():
            assert (one["point"], one["lower"], one["upper"]) == (value, value, value), key
            assert one["strict"] in (None, (value, value, value)), key
            if value == 0:
                lost = [0.0] * 5
                lost[failure] = 1.0
                assert one["losses"] == tuple(lost), key


@examples
@given(cases())
def test_invariant_04_names_and_order_of_links_mean_nothing(case: Case) -> None:
    """Giving every link, service, agency and sector another name, and so another place, changes only the names."""
    names: dict[str, str] = {}
    for column, prefix in (("links", "l"), ("services", "s"), ("agencies", "a")):
        ids = [row["id"] for row in case.register[column]]
        places = case.rng.sample(range(100, 100 + len(ids)), len(ids))
        names |= {one: f"{prefix}{place}" for one, place in zip(ids, places, strict=True)}
    names |= {"x0": "x9", "x1": "x1", "portal": "portal", "gov": "gov"}
    other = case.copy()
    for column in ("links", "services", "agencies", "endpoints"):
        for row in other.register[column]:
            for name in ("id", "service", "provider", "agency", "sector"):
                if name in row:
                    row[name] = names[row[name]]
        case.rng.shuffle(other.register[column])
    other.measurements = [(row[0], names[row[1]], *row[2:]) for row in case.measurements]
    expected = {(kind, names[entity]): one for (kind, entity), one in index_of(case).items()}
    assert_same(index_of(other), expected)


@examples
@given(cases())
def test_invariant_05_every_grouping_adds_up_to_the_government(case: Case) -> None:
    """Double entry: by consumer, provider, service, sector and sector pair, the ω-weighted sums are the government's."""
    found = snapshot(case)
    links = found.links[case.days]
    register = register_of(case.register)
    everything = measured(found)
    assume(("government", "gov") in everything)
    assert links.omega.sum() == pytest.approx(1, abs=SLACK)

    owner = [register.consumer(register.links[link]) for link in links.ids]
    provider = [register.links[link].provider for link in links.ids]
    sector = {agency.id: agency.sector for agency in register.agencies.values()}
    groupings: dict[str, list[Any]] = {
        "consumer": owner,
        "provider": provider,
        "service": [register.links[link].service for link in links.ids],
        "sector": [sector[agency] for agency in owner],
        "link": list(links.ids),
    }
    government = everything["government", "gov"]
    for kind, group in groupings.items():
        omega = {one: links.omega[[member == one for member in group]].sum() for one in group}
        for name in ("estimate", "lower", "upper", "known_share"):
            if government[name] is not None:
                total = sum(share * everything[kind, one][name] for one, share in omega.items() if share > 0)
                assert total == pytest.approx(government[name], abs=SLACK), (kind, name)
    if government["estimate"] is not None:
        pairs = [(sector[one], sector[other]) for one, other in zip(owner, provider, strict=True)]
        worth = np.where(links.omega > 0, links.omega * np.nan_to_num(links.share), 0.0)
        total = sum(worth[[member == pair for member in pairs]].sum() for pair in set(pairs))
        assert total == pytest.approx(government["estimate"], abs=SLACK)


@examples
@given(cases())
def test_invariant_08_less_knowledge_widens_the_bounds(case: Case) -> None:
    """Turning slots to unknown gives [L, U], of the CII and of E, that contain the old ones."""
    slots = {(*row[:2], row[3]) for row in case.measurements}
    lost = {slot for slot in sorted(slots) if case.rng.random() < 0.3}
    other = case.copy()
    other.measurements = [(*row[:5], None) if (row[0], row[1], row[3]) in lost else row for row in case.measurements]
    before, after = index_of(case), index_of(other)
    assert set(before) == set(after)
    for key, one in before.items():
        assert after[key]["lower"] <= one["lower"] + SLACK, key
        assert after[key]["upper"] >= one["upper"] - SLACK, key
        if one["strict"] is not None:
            assert after[key]["strict"][1] <= one["strict"][1] + SLACK, key
            assert after[key]["strict"][2] >= one["strict"][2] - SLACK, key


@examples
@given(cases())
def test_invariant_09_losses_sum_to_what_is_missing(case: Case) -> None:
    """Losses by stage are never negative and sum to 1 - point; if nothing is known, nothing counts as lost."""
    for key, one in index_of(case).items():
        assert min(one["losses"]) >= 0, key
        missing = 0 if one["estimate"] is None else 1 - one["estimate"]
        assert sum(one["losses"]) == pytest.approx(missing, abs=SLACK), key
        assert one["point"] in (None, one["estimate"]), key


@examples
@given(cases(), st.sampled_from([0.1, 3.0, 1e6]))
def test_invariant_11_only_proportions_of_service_weights_matter(case: Case, factor: float) -> None:
    """Scaling all service weights changes nothing."""
    other = case.copy()
    for service in other.register["services"]:
        service["weight"] *= factor
    assert_same(index_of(other), index_of(case))


@examples
@given(cases(whole=True))
def test_invariant_12_the_strict_share_is_the_strictest(case: Case) -> None:
    """Fully known, over the same span: max(0, 1 - Σ(1-q)) ≤ E_s ≤ min q ≤ mean q."""
    everything = index_of(case)
    for (kind, entity), one in everything.items():
        if kind != "service":
            continue
        shares = [everything["link", link["id"]]["point"] for link in case.links(on=entity)]
        assert one["known_share"] == pytest.approx(1, abs=SLACK)
        strict = one["strict"][0]
        assert max(0.0, 1 - sum(1 - share for share in shares)) <= strict + SLACK
        assert strict <= min(shares) + SLACK
        assert min(shares) <= one["point"] + SLACK
