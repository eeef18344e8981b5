"""The links that flows belong to, and the traffic by bus and by undeclared pair (docs/exchange.md §4)."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from services.core.model import BusTraffic, Flow, Register, Traffic, Undeclared
from services.indicator.array_types import Ints

MOST_UNDECLARED = 1_000
"""The most undeclared pairs that are listed, largest first; all are counted."""


@dataclass(frozen=True, slots=True)
class FlowsByLink:
    """Positions of flows: each link's ``own``, those ``shared`` with other links, ``unassigned`` ones by agency pair.

    Flows of meta services are left out.
    """

    own: dict[str, list[int]]
    shared: dict[str, list[int]]
    unassigned: dict[tuple[str, str], list[int]]


def assign_flows(register: Register, flows: Sequence[Flow]) -> FlowsByLink:
    """Assign flows to the links of a register, which may not be the one that they were logged under."""
    links_of_route: dict[tuple[str, str], set[str]] = defaultdict(set)
    for route in register.routes:
        links_of_route[route.client, route.service].add(route.link)
    by_link = FlowsByLink(defaultdict(list), defaultdict(list), defaultdict(list))
    for position, flow in enumerate(flows):
        if flow.meta:
            continue
        own = {flow.link} & register.links.keys()
        links = links_of_route.get((flow.client, flow.service), set()) if flow.shared else own
        for link in links:
            (by_link.shared if flow.shared else by_link.own)[link].append(position)
        if not links:
            by_link.unassigned[flow.consumer, flow.provider].append(position)
    return by_link


def sum_traffic(
    declared: set[tuple[str, str]], flows: Sequence[Flow], *, exchanges: Ints, ok: Ints, window_days: int
) -> Traffic:
    """Sum the exchanges of flows, (f,) each, in a window by bus, and by pair of agencies that is not ``declared``."""
    buses: Counter[str] = Counter()
    pairs: Counter[tuple[str, str]] = Counter()
    answered: Counter[tuple[str, str]] = Counter()
    for flow, count, succeeded in zip(flows, exchanges.tolist(), ok.tolist(), strict=True):
        if flow.meta or not count:
            continue
        buses[flow.bus] += count
        pair = flow.consumer, flow.provider
        if pair not in declared:
            pairs[pair] += count
            answered[pair] += succeeded
    largest = sorted(pairs, key=lambda pair: (-pairs[pair], pair))
    return Traffic(
        window_days=window_days,
        exchanges=buses.total(),
        undeclared_exchanges=pairs.total(),
        undeclared_pairs=len(pairs),
        buses=tuple(BusTraffic(bus, buses[bus]) for bus in sorted(buses, key=lambda bus: (-buses[bus], bus))),
        undeclared=tuple(Undeclared(*pair, pairs[pair], answered[pair]) for pair in largest[:MOST_UNDECLARED]),
    )
