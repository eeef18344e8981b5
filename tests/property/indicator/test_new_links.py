"""A new, split or weightless link changes the index only as docs/method.md §8 says."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.support.cases.api.indicator_answers import (
    NUMBERS,
    assert_same,
    index_of,
    pick,
)
from tests.support.cases.indicator import SLACK, Case, cases, examples
from tests.support.oracles import index as oracle


@examples
@given(cases(), st.booleans())
def test_invariant_07_a_new_unprobed_link_moves_points_by_what_is_declared(case: Case, new_service: bool) -> None:
    """A new link without probes does not change what its service answers while it is live, I_s / C_s. The points above
    follow from I_s; L does not rise, U does not fall and κ falls.
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
    """Where nothing is on paper, a new unprobed link in an existing service does not change the points above it."""
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
@given(cases(), st.integers(2, 4))
def test_invariant_10_splitting_a_link_changes_nothing(case: Case, parts: int) -> None:
    """A link split into several that share its weight and its evidence does not change any other number."""
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


def _forced(case: Case, link: dict[str, Any]) -> list[int]:
    return [slot for slot in case.slots if oracle.in_force(case.register, link, slot)]


def _measured(case: Case, link: dict[str, Any]) -> bool:
    """Return whether a link of some weight has a known slot in which it was live."""
    verdicts = oracle.verdicts(case.register, case.measurements)
    live = [slot for slot in _forced(case, link) if oracle.live(case.register, link, slot)]
    return link["weight"] > 0 and any((False, link["id"], slot) in verdicts for slot in live)


def _borrows(case: Case, service: str) -> bool:
    """Return whether a service has links to impute and none to impute them from."""
    links = case.links(on=service)
    live = any(oracle.live(case.register, link, slot) for link in links for slot in _forced(case, link))
    return live and not any(_measured(case, link) for link in links)


def _declared(case: Case, service: str) -> tuple[float, float]:
    """Return C_s of a service, and the weight of its links in force."""
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
