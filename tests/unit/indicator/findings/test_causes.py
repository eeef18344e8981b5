"""Departures are charged to as few causes as explain them."""

from __future__ import annotations

import tracemalloc

import numpy as np

from services.core.model import FindingScope
from services.indicator.findings import Topology
from services.indicator.findings.causes import DEPARTING, Departures, charge_causes
from services.indicator.findings.rows import Rows
from tests.support.cases.traffic import small_topology

TOPOLOGY = small_topology()
ROWS = Rows.of(TOPOLOGY)
FLOWS = ROWS.flows


def charged(
    departing: list[int], *, able: float = 20.0, alarms: list[int] | None = None
) -> list[tuple[FindingScope, str, int]]:
    evidence = np.zeros(len(ROWS))
    evidence[departing] = 20.0
    departs = np.zeros(len(ROWS))
    departs[departing] = -50.0
    found = np.zeros(len(ROWS), np.bool_)
    found[departing if alarms is None else alarms] = True
    power = np.full(FLOWS, able)
    charges = charge_causes(Departures(evidence, found, departs, power, evidence[:FLOWS] >= DEPARTING), ROWS)
    return [(ROWS.scope[one.row], ROWS.subject[one.row], len(one.flows)) for one in charges]


def test_one_flow_is_charged_alone() -> None:
    """A flow that departs by itself is charged, not a sum that includes it."""
    assert charged([3]) == [(FindingScope.FLOW, TOPOLOGY.flows[3], 1)]


def test_all_flows_of_a_service_are_the_service() -> None:
    """The narrowest sum that explains all flows is charged. The provider's other service is as usual."""
    assert charged([0, 1, 2, 3]) == [(FindingScope.SERVICE, "bus s0", 4)]


def test_two_causes_are_two_charges() -> None:
    """A service and a flow elsewhere are two causes."""
    assert sorted(charged([0, 1, 2, 3, 14])) == [
        (FindingScope.FLOW, TOPOLOGY.flows[14], 1),
        (FindingScope.SERVICE, "bus s0", 4),
    ]


def test_flows_too_quiet_to_tell_do_not_vote_against() -> None:
    """If two flows of a provider depart and no other flow could show it yet, one sum with both is charged."""
    ((scope, subject, count),) = charged([0, 4], able=1.0)
    assert (scope, subject) in {(FindingScope.PROVIDER, "p0"), (FindingScope.CONSUMER, "c0")}
    assert count > 2


def test_a_sum_that_departs_by_one_flow_is_that_flow() -> None:
    """A flow that makes up most of a departing sum is charged, even if the sum was found first."""
    evidence = np.zeros(len(ROWS))
    evidence[[2, FLOWS]] = 2.0, 20.0
    departs = np.zeros(len(ROWS))
    departs[[2, FLOWS]] = -45.0, -50.0
    alarms = np.arange(len(ROWS)) == FLOWS
    found = charge_causes(Departures(evidence, alarms, departs, np.full(FLOWS, 20.0), np.zeros(FLOWS, np.bool_)), ROWS)
    assert [(one.row, one.found_by) for one in found] == [(2, FLOWS)]


def test_flows_all_over_a_bus_are_the_bus() -> None:
    """Ten of sixteen flows all over a bus depart, as on an unlisted day off. The bus is the one cause."""
    departing = [0, 1, 2, 4, 5, 8, 9, 12, 13, 14]
    assert charged(departing) == [(FindingScope.BUS, "bus", len(departing))]


def test_one_long_name_costs_no_more_than_itself() -> None:
    """A service name of thousands of characters does not widen the names of all others."""
    flows = 10_000
    services = (*(f"bus s{flow}" for flow in range(flows - 1)), "bus " + "s" * 4_096)
    names = tuple(f"c{flow} {service}" for flow, service in enumerate(services))
    topology = Topology(names, ("bus",) * flows, services, ("p",) * flows, ("c",) * flows)
    tracemalloc.start()
    Rows.of(topology)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 20_000_000
