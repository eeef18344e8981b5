"""The structure equals a brute force in exact rationals, and networkx on random graphs (docs/method.md §8)."""

from __future__ import annotations

import random
from collections.abc import Collection
from dataclasses import replace
from datetime import datetime
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.core.model.indicator import Structure
from services.core.model.register import ExchangeRoute
from services.indicator.register_arrays import RegisterArrays
from services.indicator.structure.network import AgencyNetwork
from services.indicator.structure.structure import structure_by_window
from tests.support.cases.api.indicator_answers import register_of, snapshot
from tests.support.cases.indicator import Case, cases
from tests.support.oracles import structure as oracle_structure
from tests.support.oracles.index import decimal

SLACK = 1e-12
HOUR = 3600
FIRST = int(datetime(2024, 5, 13, tzinfo=ZoneInfo("UTC")).timestamp()) // HOUR


def structure_of(case: Case, bus: Collection[str] = ()) -> Structure | None:
    """Compute the structure of a case with the library; exchanges of the ``bus`` links are mapped to them."""
    register = register_of(case.register)
    routes = tuple(ExchangeRoute("A/B/C", "A/B/C/D/e", link) for link in sorted(bus))
    arrays = RegisterArrays.of(register)
    network = AgencyNetwork.of(replace(register, routes=routes), arrays)
    found = structure_by_window(arrays, network, snapshot(case, arrays=arrays))
    return found[0] if found else None


def truth_of(case: Case, bus: Collection[str] = ()) -> dict[str, Any] | None:
    """Compute it with the brute force."""
    return oracle_structure.structure(case.register, case.measurements, days=case.days, end_slot=case.end_slot, bus=bus)


@st.composite
def networks(draw: st.DrawFn) -> Case:
    """Draw up to ten agencies with up to forty links among them: enough for islands, loops and lone agencies."""
    rng = random.Random(draw(st.integers(0, 2**32)))
    sizes = {"agencies": draw(st.integers(2, 10)), "services": 8, "links": draw(st.integers(1, 40))}
    return network(rng, **sizes, good=rng.choice([0.0, 0.15, 0.5, 1.0]))


def network(rng: random.Random, *, agencies: int, services: int, links: int, good: float) -> Case:
    """Make a random network with a ``good`` share of working links; a third of the others are unknown."""
    owners = [{"id": f"a{n}", "sector": f"x{n % rng.choice([1, 2, 3])}"} for n in range(agencies)]
    rows = [
        {"id": f"s{n}", "agency": rng.choice(owners)["id"], "weight": rng.choice([1, 1, 2.5, 0])}
        for n in range(services)
    ]
    drawn: list[dict[str, Any]] = []
    for number in range(links):
        service = rng.choice(rows)
        drawn.append(
            {
                "id": f"l{number:02}",
                "service": service["id"],
                "provider": rng.choice([one["id"] for one in owners if one["id"] != service["agency"]]),
                "required_from": None,
                "required_until": None,
                "live_from": None if rng.random() < 0.2 else "always",
                "vantages": (),
                "weight": rng.choice([1, 1, 0.1, 0]),
            }
        )
    register: dict[str, Any] = {
        "government": "gov",
        "timezone": "UTC",
        "epoch": FIRST * HOUR,
        "slot_seconds": HOUR,
        "threshold": Fraction(4, 5),
        "agencies": owners,
        "services": rows,
        "links": drawn,
        "endpoints": [],
    }
    case = Case(register=register, measurements=[], days=1, end_slot=FIRST + 2, rng=rng)
    for link in drawn:
        stage = rng.choice([None, 0, 3]) if rng.random() >= good else 5
        for slot in (FIRST, FIRST + 1):
            case.measurements.append((False, link["id"], "north", slot, slot * HOUR * 10**6, stage))
    return case


def assert_equal(found: Structure | None, truth: dict[str, Any] | None) -> None:
    assert (found is None) == (truth is None)
    if found is None or truth is None:
        return
    for name, expected in truth.items():
        if name == "lower":
            continue
        value = getattr(found, name)
        if name == "providers":
            assert [one.provider for one in value] == sorted(expected)
            for one in value:
                for part, exact in expected[one.provider].items():
                    assert getattr(one, part) == pytest.approx(float(exact), abs=SLACK), (one.provider, part)
        elif name.endswith("_sectors"):
            values = (value.point, value.lower, value.upper, value.known_share, value.links)
            for one, exact in zip(values, expected, strict=True):
                assert one == (None if exact is None else pytest.approx(float(exact), abs=SLACK)), name
        elif isinstance(expected, Fraction):
            assert value == pytest.approx(float(expected), abs=SLACK), name
        else:
            assert value == expected, name


@settings(max_examples=60)
@given(cases())
def test_it_equals_a_brute_force_over_windows(case: Case) -> None:
    """Every measure equals the exact one, also where links come into force, go live or are not seen in part of a window."""
    assert_equal(structure_of(case), truth_of(case))


@settings(max_examples=100)
@given(networks())
def test_it_equals_a_brute_force_over_networks(case: Case) -> None:
    """Every measure equals the exact one over larger networks with the bus among their nodes."""
    bus = {link["id"] for link in case.register["links"] if case.rng.random() < 0.15}
    assert_equal(structure_of(case, bus), truth_of(case, bus))


def assert_equals_networkx(case: Case, found: Structure) -> None:
    """Compare with the graphs of the pairs that are required, work, or could have worked unseen; all links are in force."""
    import networkx as nx  # noqa: PLC0415  # every worker collects this, and one runs it

    owner = {service["id"]: service["agency"] for service in case.register["services"]}
    value = {service["id"]: decimal(service["weight"]) for service in case.register["services"]}
    whole = {name: sum(decimal(link["weight"]) for link in case.links(on=name)) for name in owner}
    stages = {row[1]: row[5] for row in case.measurements}
    required, working, possible = nx.DiGraph(), nx.DiGraph(), nx.DiGraph()
    for link in case.register["links"]:
        name = link["service"]
        if link["weight"] and value[name]:
            pair = owner[name], link["provider"]
            before = required.get_edge_data(*pair, default={"omega": 0})["omega"]
            required.add_edge(*pair, omega=before + value[name] * decimal(link["weight"]) / whole[name])
            for graph, seen in ((working, {5}), (possible, {5, None})):
                graph.add_nodes_from(pair)
                if link["live_from"] and stages[link["id"]] in seen:
                    graph.add_edge(*pair)
    islands = [tuple(sorted(one)) for one in nx.weakly_connected_components(working)]
    assert found.islands == tuple(sorted(islands, key=lambda one: (-len(one), one)))
    assert found.isolates == tuple(sorted(nx.isolates(working)))
    assert (found.pairs_required, found.pairs_working) == (required.number_of_edges(), working.number_of_edges())
    assert found.pair_coverage == pytest.approx(working.number_of_edges() / required.number_of_edges(), abs=SLACK)
    if working.number_of_edges():
        assert found.reciprocity == pytest.approx(nx.overall_reciprocity(working), abs=SLACK)
    else:
        assert found.reciprocity is None
    for share, graph in ((found.fragmentation, working), (found.fragmentation_lower, possible)):
        across = (nx.edge_boundary(required, one, data="omega") for one in nx.weakly_connected_components(graph))
        expected = sum(omega for edges in across for *_, omega in edges) / required.size(weight="omega")
        assert share == pytest.approx(float(expected), abs=SLACK)


@settings(max_examples=100)
@given(networks())
def test_it_equals_networkx(case: Case) -> None:
    """Islands, isolates, reciprocity, coverage and fragmentation equal those that networkx finds in the graphs of
    pairs.
    """
    found = structure_of(case)
    if found is not None:
        assert_equals_networkx(case, found)


def test_a_government_of_300_agencies_equals_networkx() -> None:
    """The same holds for islands of all sizes, one of them with more than 100 agencies."""
    case = network(random.Random(0), agencies=300, services=400, links=1500, good=0.25)
    found = structure_of(case)
    assert found is not None
    sizes = [len(island) for island in found.islands]
    assert sizes[0] > 100
    assert {1, 2, 3, 4} < set(sizes)
    assert sum(sizes) > 250
    assert 0 < found.fragmentation_lower < found.fragmentation < 1 - found.pair_coverage_weighted
    assert_equals_networkx(case, found)


@settings(max_examples=100)
@given(st.one_of(networks(), cases()))
def test_invariant_14_losses_of_providers_and_fragmentation(case: Case) -> None:
    """Σ loss_p = 1 - L, shares of providers sum to 1, and fragmentation is at most the uncovered share."""
    found, truth = structure_of(case), truth_of(case)
    if found is None or truth is None:
        return
    assert sum(one.loss for one in found.providers) == pytest.approx(1 - float(truth["lower"]), abs=SLACK)
    assert sum(one.share for one in found.providers) == pytest.approx(1, abs=SLACK)
    assert found.fragmentation <= 1 - found.pair_coverage_weighted + SLACK
    assert found.fragmentation_lower <= found.fragmentation + SLACK
    assert 1 / len(found.providers) - SLACK <= found.provider_concentration <= 1 + SLACK
    assert set(found.isolates) == {island[0] for island in found.islands if len(island) == 1}


@settings(max_examples=60)
@given(networks())
def test_what_changes_no_index_changes_no_structure(case: Case) -> None:
    """Another link that weighs nothing, seen working, joins no islands and adds no pair."""
    before = structure_of(case)
    other = case.copy()
    service = case.rng.choice(other.register["services"])
    provider = next(one["id"] for one in case.register["agencies"] if one["id"] != service["agency"])
    other.register["links"].append(
        {
            **case.register["links"][0],
            "id": "zz",
            "service": service["id"],
            "provider": provider,
            "live_from": "always",
            "weight": 0,
        }
    )
    other.measurements += [(False, "zz", "north", slot, None, 5) for slot in (FIRST, FIRST + 1)]
    after = structure_of(other)
    assert (before is None) == (after is None)
    if before is not None and after is not None:
        for name in ("pairs_required", "pairs_working", "islands", "isolates", "reciprocity", "declared"):
            assert getattr(after, name) == getattr(before, name), name
        assert after.fragmentation == pytest.approx(before.fragmentation, abs=SLACK)
