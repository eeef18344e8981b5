"""The structure is right where nothing works, nothing is known, or there is nothing to compare."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np

from services.core.model.indicator import SetIndex
from services.core.model.probe import Probe, Step
from services.core.model.register import ExchangeRoute
from services.indicator.method_version import METHOD_VERSION
from services.indicator.register_arrays import RegisterArrays
from services.indicator.structure.network import AgencyNetwork
from services.indicator.structure.resilience import node_losses
from services.indicator.structure.structure import structure_by_window
from tests.support.cases.api.indicator_answers import register_of, snapshot
from tests.unit.indicator.index.test_index import a_case, measure

ALL = [5] * 10


def of(case, **changes):
    """Return the structure of a case's only window, after ``changes`` to the register."""
    register = replace(register_of(case.register), **changes)
    arrays = RegisterArrays.of(register)
    found = structure_by_window(arrays, AgencyNetwork.of(register, arrays), snapshot(case, arrays=arrays))
    return found[0] if found else None


def test_a_worked_example():
    """Every number for three agencies, two linked both ways and the third on paper, equals that computed by hand."""
    case = a_case([("k", "s", "b", "always", 1), ("l", "s", "c", None, 1), ("m", "t", "a", "always", 1)])
    measure(case, "k", ALL)
    measure(case, "m", [5] * 5 + [1] * 5)
    found = of(case)
    assert (found.pairs_required, found.pairs_working, found.pairs_absent, found.pairs_unknown) == (3, 2, 1, 0)
    assert (found.pair_coverage, found.pair_coverage_upper) == (2 / 3, 2 / 3)
    assert (found.pair_coverage_weighted, found.pair_coverage_weighted_upper) == (0.75, 0.75)
    assert (found.islands, found.isolates) == ((("a", "b"), ("c",)), ("c",))
    assert (found.fragmentation, found.fragmentation_lower, found.reciprocity) == (0.25, 0.25, 1.0)
    # a is in sector x, b and c are in y. Every link crosses sectors, so there is none within a sector to compare.
    assert found.within_sectors == SetIndex(links=0, point=None, lower=0.0, upper=1.0, known_share=0.0)
    assert found.across_sectors == SetIndex(links=3, point=0.5, lower=0.5, upper=0.5, known_share=1.0)
    assert found.silo_gap is None
    roles = {one.provider: (one.links, one.share, one.loss, one.strict_loss) for one in found.providers}
    assert roles == {"a": (1, 0.5, 0.25, 0.25), "b": (1, 0.25, 0.0, 0.0), "c": (1, 0.25, 0.25, 0.0)}
    assert found.provider_concentration == 0.25 + 0.0625 + 0.0625
    # E is 1/4: service s never has all its links, t has its one half of the time, and depends on a alone.
    assert (found.resilience, found.weakest, found.bus_links, found.bus_strict_loss) == (0.0, "a", 0, 0.0)
    assert found.declared == 0.75
    assert (found.window_days, found.register_version, found.method_version) == (7, "r" * 64, METHOD_VERSION)


def test_when_everything_is_on_paper():
    """Pairs with only absent links count as required and never work. Without a working pair, reciprocity is unset."""
    found = of(a_case([("k", "s", "b", None, 1), ("m", "t", "a", None, 1)]))
    assert (found.pairs_required, found.pairs_working, found.pairs_absent, found.pairs_unknown) == (2, 0, 2, 0)
    assert (found.pair_coverage, found.pair_coverage_upper, found.declared) == (0.0, 0.0, 0.0)
    assert (found.isolates, found.islands) == (("a", "b"), (("a",), ("b",)))
    assert (found.fragmentation, found.fragmentation_lower, found.reciprocity) == (1.0, 1.0, None)
    assert (found.resilience, found.weakest) == (None, "")  # E is 0: there is nothing to lose
    assert found.across_sectors.point == 0.0


def test_when_nothing_is_known():
    """Nothing is seen to work and everything could: bounds are 0 and 1, and figures that need a point are unset."""
    found = of(a_case([("k", "s", "b", "always", 1), ("m", "t", "a", "always", 1)]))
    assert (found.pairs_unknown, found.pairs_absent) == (2, 0)
    assert (found.pair_coverage, found.pair_coverage_upper, found.declared) == (0.0, 1.0, 1.0)
    assert (found.pair_coverage_weighted, found.pair_coverage_weighted_upper) == (0.0, 1.0)
    assert (found.fragmentation, found.fragmentation_lower) == (1.0, 0.0)
    assert (found.reciprocity, found.silo_gap, found.resilience, found.weakest) == (None, None, None, "")
    assert sum(one.loss for one in found.providers) == 1.0


def test_the_silo_gap_needs_both_sides_to_be_publishable():
    """If all links answer within a sector and half across, the gap is one half. If too little is known, it is unset."""
    case = a_case([("k", "t", "c", "always", 1), ("l", "s", "b", "always", 1)])
    measure(case, "k", ALL)
    measure(case, "l", [5, 0] * 5)
    assert of(case).silo_gap == 0.5
    case.measurements = [row for row in case.measurements if row[1] != "l"]
    measure(case, "l", [5, 0] * 2)
    found = of(case)
    assert (found.within_sectors.point, found.across_sectors.point, found.silo_gap) == (1.0, None, None)
    assert (found.across_sectors.lower, found.across_sectors.known_share) == (0.2, 0.4)


def test_the_bus_is_one_node():
    """X-Road probes, journeys with such a step and mapped exchanges use the bus, and fail with it."""
    case = a_case([("k", "s", "b", "always", 1), ("l", "s", "c", "always", 1), ("m", "t", "a", "always", 1)])
    for link in "klm":
        measure(case, link, ALL)
    assert (of(case).resilience, of(case).weakest) == (0.5, "a")
    links = register_of(case.register).links
    for probe in (
        Probe("p", "xroad-rest"),
        Probe("p", "xroad-soap"),
        Probe("p", "journey", steps=(Step(Probe("", "xroad-rest"), ""),)),
    ):
        found = of(case, probes={"p": probe}, links={**links, "m": replace(links["m"], probe="p")})
        assert (found.bus_links, found.bus_strict_loss, found.resilience, found.weakest) == (1, 0.5, 0.5, "a")
    routes = tuple(ExchangeRoute("A/B/C", "A/B/C/D/e", link) for link in "km")
    found = of(case, routes=routes)
    assert (found.bus_links, found.bus_strict_loss, found.resilience, found.weakest) == (2, 1.0, 0.0, "")


def test_a_register_that_requires_nothing_has_no_structure():
    """Without a link in force that weighs anything there is no structure."""
    assert of(a_case([])) is None
    case = a_case([("k", "s", "b", "always", 0)])
    measure(case, "k", ALL)
    assert of(case) is None


def test_a_link_that_is_no_longer_required_takes_nothing_with_it():
    """If a provider's only link ended before the window, neither the provider nor the bus carries it."""
    case = a_case([("k", "s", "b", "always", 1), ("l", "s", "c", "always", 1)])
    measure(case, "k", ALL)
    case.register["links"][1]["required_until"] = date(2024, 5, 13)
    routes = (ExchangeRoute("A/B/C", "A/B/C/D/e", "l"),)
    found = of(case, routes=routes)
    assert [(one.provider, one.strict_loss) for one in found.providers] == [("b", 1.0)]
    register = register_of(case.register)
    arrays = RegisterArrays.of(register)
    in_force = np.array([True, False])
    falls = node_losses(arrays, AgencyNetwork.of(register, arrays), in_force, np.array([1.0, np.nan]))
    assert falls.providers.tolist() == [0.0, 1.0, 0.0]
    assert (found.resilience, found.weakest, found.bus_links, found.bus_strict_loss) == (0.0, "b", 0, 0.0)
