"""Which links the exchanges are of, which exchanges no register asks for, and which links are silent (docs/exchange.md)."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from services.core.model import BusTraffic, Flow, Register, Traffic, Undeclared
from services.indicator.array_types import Ints

__all__ = ["MOST_UNDECLARED", "FlowsByLink", "assign_flows", "sum_traffic"]

MOST_UNDECLARED = 1_000
"""Of more undeclared pairs only the largest are listed; all are counted."""


@dataclass(frozen=True, slots=True)
class FlowsByLink:
    """Positions of carriers, by link: its ``own``, those it ``shares`` with other links, and by pair of agencies those
    that no link is known of (``other``). Meta services are in none.
    """

    own: dict[str, list[int]]
    shares: dict[str, list[int]]
    other: dict[tuple[str, str], list[int]]


def assign_flows(register: Register, carriers: Sequence[Flow]) -> FlowsByLink:
    """Assign carriers to the links of a register, which may be another than the one they were logged under."""
    sharing: dict[tuple[str, str], set[str]] = defaultdict(set)
    for route in register.routes:
        sharing[route.client, route.service].add(route.link)
    found = FlowsByLink(defaultdict(list), defaultdict(list), defaultdict(list))
    for at, one in enumerate(carriers):
        if one.meta:
            continue
        links = sharing.get((one.client, one.service), set()) if one.shared else {one.link} & register.links.keys()
        for link in links:
            (found.shares if one.shared else found.own)[link].append(at)
        if not links:
            found.other[one.consumer, one.provider].append(at)
    return found


def sum_traffic(
    declared: set[tuple[str, str]], carriers: Sequence[Flow], *, exchanges: Ints, ok: Ints, window_days: int
) -> Traffic:
    """Sum what carriers, (c,) each, carried in a window by bus, and by pair of agencies that is not ``declared``."""
    buses: Counter[str] = Counter()
    pairs: Counter[tuple[str, str]] = Counter()
    answered: Counter[tuple[str, str]] = Counter()
    for one, count, succeeded in zip(carriers, exchanges.tolist(), ok.tolist(), strict=True):
        if one.meta or not count:
            continue
        buses[one.bus] += count
        pair = one.consumer, one.provider
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
