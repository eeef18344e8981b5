"""The invariants of docs/method.md §8 on indexes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.support.cases.api.indicator_answers import (
    NUMBERS,
    assert_same,
    index_of,
    measured,
    pick,
    register_of,
    snapshot,
)
from tests.support.cases.indicator import Case, cases
from tests.support.oracles import index as oracle

SLACK = 1e-12
examples = settings(max_examples=60)


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
@given(cases(), st.booleans())
def test_invariant_07_a_new_unprobed_link_moves_points_by_what_is_declared(case: Case, new_service: bool) -> None:
    """A new link without probes leaves what its service answers while it is live, I_s / C_s, and the points above follow
    from I_s; L does not rise, U does not fall and κ falls.
    """
    before = index_of(case)
    assume(("government", "gov") in before)
    weighty = [row for row in case.register["services"] if ("service", row["id"]) in before]
    other = case.copy()
    service = case.rng.choice(weighty)
    if new_service:
        service = {"id": "s9", "agency": service["agency"], "weight": 2.5}
        other.register["services"].append(service)
    provider = next(row["id"] for row in case.register["agencies"] if row["id"] != service["agency"])
    other.register["links"].append(_link("l9", service["id"], provider, weight=1.7))
    after = index_of(other)
    own = ("service", service["id"])
    measured = any(_measured(case, link) for link in case.links(on=service["id"]))
    if not new_service and measured:
        (declared, _), (declared_then, weight) = _declared(case, service["id"]), _declared(other, service["id"])
        answered = before[own]["estimate"] / declared if declared else 0.0
        assert weight > 0
        assert after[own]["estimate"] == pytest.approx(answered * declared_then, abs=1e-9)
    sector = next(row["sector"] for row in case.register["agencies"] if row["id"] == service["agency"])
    value = service["weight"]
    for key, entities in (
        (("government", "gov"), {row["id"] for row in other.register["services"]}),
        (("sector", sector), {one["id"] for one in other.register["services"] if _sector(other, one) == sector}),
        (
            ("consumer", service["agency"]),
            {one["id"] for one in other.register["services"] if one["agency"] == service["agency"]},
        ),
        (own, {service["id"]}),
    ):
        if key not in before:
            continue
        assert after[key]["lower"] <= before[key]["lower"] + SLACK, key
        assert after[key]["known_share"] <= before[key]["known_share"] + SLACK, key
        assert after[key]["upper"] >= before[key]["upper"] - SLACK, key
        if key[0] == "service" and before[key]["known_share"] > 0:
            assert after[key]["known_share"] < before[key]["known_share"], key
        points = (before[key]["estimate"], after[key]["estimate"])
        if not new_service and measured and None not in points and value:
            moved = after[own]["estimate"] - before[own]["estimate"]
            total = sum(
                one["weight"]
                for one in other.register["services"]
                if one["id"] in entities and ("service", one["id"]) in after
            )
            if any(_borrows(other, one) for one in entities):
                continue
            assert points[1] - points[0] == pytest.approx(value * moved / total if key != own else moved, abs=1e-9), key


@examples
@given(cases(whole=True))
def test_invariant_07_where_all_is_live_the_points_stay(case: Case) -> None:
    """Where nothing is on paper, a new unprobed link in an existing service leaves the points above it."""
    before = index_of(case)
    other = case.copy()
    service = case.rng.choice([row for row in case.register["services"] if ("service", row["id"]) in before] or [None])
    assume(service is not None)
    provider = next(row["id"] for row in case.register["agencies"] if row["id"] != service["agency"])
    other.register["links"].append(_link("l9", service["id"], provider, weight=1.7))
    after = index_of(other)
    for key in (("government", "gov"), ("consumer", service["agency"]), ("service", service["id"])):
        if key in before:
            assert after[key]["estimate"] == pytest.approx(before[key]["estimate"], abs=SLACK), key


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
    """Losses by stage are never negative and sum to 1 - point; without any knowledge nothing is said to be lost."""
    for key, one in index_of(case).items():
        assert min(one["losses"]) >= 0, key
        missing = 0 if one["estimate"] is None else 1 - one["estimate"]
        assert sum(one["losses"]) == pytest.approx(missing, abs=SLACK), key
        assert one["point"] in (None, one["estimate"]), key


@examples
@given(cases(), st.integers(2, 4))
def test_invariant_10_splitting_a_link_changes_nothing(case: Case, parts: int) -> None:
    """A link split into several that share its weight and its evidence leaves every other number where it is."""
    other = case.copy()
    link = case.rng.choice(other.register["links"])
    other.register["links"].remove(link)
    names = [f"{link['id']}-{part}" for part in range(parts)]
    other.register["links"] += [{**link, "id": name, "weight": link["weight"] / parts} for name in names]
    other.measurements = [
        (row[0], name, *row[2:])
        for row in case.measurements
        for name in (names if row[:2] == (False, link["id"]) else [row[1]])
    ]

    def others(kind: str, entity: str) -> bool:
        return kind != "link" or entity not in (link["id"], *names)

    assert_same(pick(index_of(other), others), pick(index_of(case), others), NUMBERS)


@examples
@given(cases(), st.sampled_from([0.1, 3.0, 1e6]))
def test_invariant_11_only_proportions_of_service_weights_matter(case: Case, factor: float) -> None:
    """Scaling all service weights changes nothing."""
    other = case.copy()
    for service in other.register["services"]:
        service["weight"] *= factor
    assert_same(index_of(other), index_of(case))


@examples
@given(cases())
def test_invariant_11_a_weightless_link_changes_nothing(case: Case) -> None:
    """A link of no weight changes no index and no bound; E, which knows no weights of links, does count it."""
    other = case.copy()
    service = case.rng.choice(other.register["services"])
    provider = next(row["id"] for row in case.register["agencies"] if row["id"] != service["agency"])
    other.register["links"].append(_link("l9", service["id"], provider, weight=0))
    seconds = case.register["slot_seconds"]
    other.measurements += [
        (False, "l9", "north", slot, slot * seconds * 10**6, case.rng.randrange(6)) for slot in case.slots
    ]
    names = [name for name in NUMBERS if name != "strict"]
    after = pick(index_of(other), lambda kind, entity: (kind, entity) != ("link", "l9"))
    assert_same(after, index_of(case), names)


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


def _forced(case: Case, link: dict[str, Any]) -> list[int]:
    return [slot for slot in case.slots if oracle.in_force(case.register, link, slot)]


def _measured(case: Case, link: dict[str, Any]) -> bool:
    """Whether a link of some weight has a known slot in which it was live."""
    verdicts = oracle.verdicts(case.register, case.measurements)
    live = [slot for slot in _forced(case, link) if oracle.live(case.register, link, slot)]
    return link["weight"] > 0 and any((False, link["id"], slot) in verdicts for slot in live)


def _borrows(case: Case, service: str) -> bool:
    """Whether a service has links to impute and none to impute them from."""
    links = case.links(on=service)
    live = any(oracle.live(case.register, link, slot) for link in links for slot in _forced(case, link))
    return live and not any(_measured(case, link) for link in links)


def _declared(case: Case, service: str) -> tuple[float, float]:
    """C_s of a service, and the weight of its links in force."""
    rows = []
    for link in case.links(on=service):
        forced = _forced(case, link)
        if forced:
            live = [slot for slot in forced if oracle.live(case.register, link, slot)]
            rows.append((link["weight"], len(live) / len(forced)))
    weight = sum(one for one, _ in rows)
    return (sum(one * share for one, share in rows) / weight if weight else 0.0), weight


def _sector(case: Case, service: dict[str, Any]) -> str:
    return next(str(row["sector"]) for row in case.register["agencies"] if row["id"] == service["agency"])


def _link(name: str, service: str, provider: str, *, weight: float) -> dict[str, Any]:
    return {
        "id": name,
        "service": service,
        "provider": provider,
        "required_from": None,
        "required_until": None,
        "live_from": "always",
        "vantages": (),
        "weight": weight,
    }
