"""Resolves overlapping faults into spans: the fault of each link in each slot. Pure.

The lowest stage wins, as it does on a connection: a client that cannot connect does not see that the record is stale.
Between faults of one stage the wider scope wins (bus, provider, link), then the order of modes.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from random import Random

from services.sandbox.faults.faults import BUS_MODES, CYCLE, FaultMode, FaultScope, InjectedFault, draw_faults
from services.sandbox.scenario import ServedLink

_SERVER_SHARE = 0.08

_SCOPES = tuple(FaultScope)
_MODES = tuple(FaultMode)

_Ranked = tuple[int, int, int, int, int, int]
"""A fault of one target as a sort key: stage, scope, mode, start, end, variant."""


@dataclass(frozen=True, slots=True)
class FaultSpan:
    """``target`` (a link, the bus endpoint or a security server) fails in this mode, for this cause, in slots [start, end).

    Slots are absolute: slot number = slot start in epoch seconds // slot length.
    """

    target: str
    start: int
    end: int
    mode: FaultMode
    cause: FaultScope
    variant: int


class FaultTimeline:
    """The spans of a run that begins with slot ``first_slot``, drawn from its seed when they are needed."""

    def __init__(
        self, served_links: Sequence[ServedLink], *, bus: str, seed: int, first_slot: int, intensity: float = 1.0
    ) -> None:
        self.first_slot = first_slot
        self._served = {served.link: served for served in served_links}
        self._of_provider: dict[str, list[str]] = {}
        for served in served_links:
            self._of_provider.setdefault(served.provider, []).append(served.link)
        self._on_bus = [served.link for served in served_links if served.on_bus]
        self._bus = bus
        self._seed = seed
        self._intensity = intensity
        self._drawn: dict[int, tuple[InjectedFault, ...]] = {}
        self._states: dict[int, dict[int, dict[str, FaultSpan]]] = {}

    @property
    def links(self) -> Container[str]:
        """The live links, without the bus."""
        return self._served.keys()

    def cycle_of(self, slot: int) -> int:
        """Return the cycle a slot lies in; negative before the run begins."""
        return (slot - self.first_slot) // CYCLE

    def begin(self, cycle: int) -> int:
        """Return the first slot of a cycle."""
        return self.first_slot + cycle * CYCLE

    def faults(self, cycle: int) -> tuple[InjectedFault, ...]:
        """Return every fault that may be in effect in this cycle; its slots are counted from the start of the run."""
        cycles = range(max(0, cycle - 1), cycle + 1)
        return tuple(fault for number in cycles for fault in self._draw(number) if fault.end > cycle * CYCLE)

    def spans(self, cycle: int) -> list[FaultSpan]:
        """Return the spans of a cycle's links, and of the bus, by target and start; cut at the ends of the cycle.

        Slots without a span work. A cause that ends and another that begins make two spans.
        """
        ranked: dict[str, list[_Ranked]] = {}
        for fault in self.faults(cycle):
            for target in self._targets(fault):
                ranked.setdefault(target, []).append(self._rank(target, fault))
        return [span for target in sorted(ranked) for span in self._resolve(target, cycle, sorted(ranked[target]))]

    def state(self, slot: int) -> Mapping[str, FaultSpan]:
        """Return the faults in effect in a slot, by target; a target without one works."""
        cycle = self.cycle_of(slot)
        if cycle < 0:
            return {}
        if cycle not in self._states:
            table: dict[int, dict[str, FaultSpan]] = {}
            for span in self.spans(cycle):
                for number in range(span.start, span.end):
                    table.setdefault(number, {})[span.target] = span
            self._states = {number: state for number, state in self._states.items() if number >= cycle - 1}
            self._states[cycle] = table
        return self._states[cycle].get(slot, {})

    def _draw(self, cycle: int) -> tuple[InjectedFault, ...]:
        if cycle not in self._drawn:
            self._drawn = {number: faults for number, faults in self._drawn.items() if abs(number - cycle) <= 2}
            self._drawn[cycle] = draw_faults(tuple(self._served.values()), self._seed, cycle, self._intensity)
        return self._drawn[cycle]

    def _targets(self, fault: InjectedFault) -> list[str]:
        if fault.scope is FaultScope.BUS:
            return [*self._on_bus, self._bus]
        return self._of_provider[fault.subject] if fault.scope is FaultScope.PROVIDER else [fault.subject]

    def _rank(self, target: str, fault: InjectedFault) -> _Ranked:
        mode = fault.mode.over(tls=target == self._bus or self._served[target].tls)
        return (mode.stage, _SCOPES.index(fault.scope), _MODES.index(mode), fault.start, fault.end, fault.variant)

    def _resolve(self, target: str, cycle: int, ranked: Sequence[_Ranked]) -> Iterator[FaultSpan]:
        """Assign each slot of the cycle to the first of ``ranked`` that covers it, and yield the runs of each."""
        origin = cycle * CYCLE
        winners = [
            next((fault for fault in ranked if fault[3] <= slot < fault[4]), None)
            for slot in range(origin, origin + CYCLE)
        ]
        start = 0
        for winner, run in groupby(winners):
            end = start + len(list(run))
            if winner is not None:
                _, scope, mode, _, _, variant = winner
                first = self.begin(cycle)
                yield FaultSpan(target, first + start, first + end, _MODES[mode], _SCOPES[scope], variant)
            start = end


def draw_server_faults(
    servers: Iterable[str], seed: int, slot: int, number: int, intensity: float
) -> Mapping[str, FaultSpan]:
    """Return the security servers that fail in a slot, the run's ``number``-th, by id; each fails for this slot."""
    rng = Random(f"{seed}/servers/{number}")
    failing = [server for server in servers if rng.random() < _SERVER_SHARE * intensity]
    return {
        server: FaultSpan(server, slot, slot + 1, rng.choice(BUS_MODES), FaultScope.LINK, rng.randrange(12))
        for server in failing
    }
