"""What is true of each link in each slot: overlapping faults resolved into spans. Pure.

The lowest stage wins, as it does on the wire: whoever cannot connect never learns that the record is stale. Between
faults of one stage the wider cause wins (bus, provider, link), then the order of modes.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from services.sandbox.faults.faults import CYCLE, Fault, Mode, Scope, draw
from services.sandbox.scenario.addresses import Wire

__all__ = ["Span", "Timeline"]

_SCOPES = tuple(Scope)
_MODES = tuple(Mode)

_Ranked = tuple[int, int, int, int, int, int]
"""A fault as it strikes one target: stage, scope, mode, start, end, variant; the least comes first."""


@dataclass(frozen=True, slots=True)
class Span:
    """``target`` (a link, or the bus endpoint) is in this mode, for this cause, in slots [start, end).

    Slots are absolute: slot number = slot start in epoch seconds // slot length.
    """

    target: str
    start: int
    end: int
    mode: Mode
    cause: Scope
    variant: int


class Timeline:
    """The spans of a run that begins with slot ``first_slot``, drawn from its seed as they are asked for."""

    def __init__(self, wires: Sequence[Wire], *, bus: str, seed: int, first_slot: int, intensity: float = 1.0) -> None:
        self.first_slot = first_slot
        self._wires = {wire.link: wire for wire in wires}
        self._of_provider: dict[str, list[str]] = {}
        for wire in wires:
            self._of_provider.setdefault(wire.provider, []).append(wire.link)
        self._on_bus = [wire.link for wire in wires if wire.on_bus]
        self._bus = bus
        self._seed = seed
        self._intensity = intensity
        self._drawn: dict[int, tuple[Fault, ...]] = {}
        self._states: dict[int, dict[int, dict[str, Span]]] = {}

    @property
    def links(self) -> Container[str]:
        """The live links, as against the bus."""
        return self._wires.keys()

    def cycle_of(self, slot: int) -> int:
        """Return the cycle a slot lies in; negative before the run begins."""
        return (slot - self.first_slot) // CYCLE

    def begin(self, cycle: int) -> int:
        """Return the first slot of a cycle."""
        return self.first_slot + cycle * CYCLE

    def faults(self, cycle: int) -> tuple[Fault, ...]:
        """Return every fault that can be in effect in this cycle; slots are counted from the start of the run."""
        found = [fault for each in (cycle - 1, cycle) if each >= 0 for fault in self._draw(each)]
        return tuple(fault for fault in found if fault.end > cycle * CYCLE)

    def spans(self, cycle: int) -> list[Span]:
        """Return the spans of a cycle's links, and of the bus, by target and start; cut at the ends of the cycle.

        What is not covered is well. A cause that ends and another that begins make two spans.
        """
        ranked: dict[str, list[_Ranked]] = {}
        for fault in self.faults(cycle):
            for target in self._struck(fault):
                ranked.setdefault(target, []).append(self._rank(target, fault))
        return [span for target in sorted(ranked) for span in self._resolve(target, cycle, sorted(ranked[target]))]

    def state(self, slot: int) -> Mapping[str, Span]:
        """Return what is wrong in a slot, by target; a target that is not there is well."""
        cycle = self.cycle_of(slot)
        if cycle < 0:
            return {}
        if cycle not in self._states:
            table: dict[int, dict[str, Span]] = {}
            for span in self.spans(cycle):
                for each in range(span.start, span.end):
                    table.setdefault(each, {})[span.target] = span
            self._states = {known: state for known, state in self._states.items() if known >= cycle - 1}
            self._states[cycle] = table
        return self._states[cycle].get(slot, {})

    def _draw(self, cycle: int) -> tuple[Fault, ...]:
        if cycle not in self._drawn:
            self._drawn = {known: faults for known, faults in self._drawn.items() if abs(known - cycle) <= 2}
            self._drawn[cycle] = draw(tuple(self._wires.values()), self._seed, cycle, self._intensity)
        return self._drawn[cycle]

    def _struck(self, fault: Fault) -> list[str]:
        if fault.scope is Scope.BUS:
            return [*self._on_bus, self._bus]
        return self._of_provider[fault.subject] if fault.scope is Scope.PROVIDER else [fault.subject]

    def _rank(self, target: str, fault: Fault) -> _Ranked:
        mode = fault.mode.over(tls=target == self._bus or self._wires[target].tls)
        return (mode.stage, _SCOPES.index(fault.scope), _MODES.index(mode), fault.start, fault.end, fault.variant)

    def _resolve(self, target: str, cycle: int, ranked: Sequence[_Ranked]) -> Iterator[Span]:
        """Give each slot of the cycle to the first of ``ranked`` that covers it, and yield the runs of each."""
        origin = cycle * CYCLE
        winners = [
            next((each for each in ranked if each[3] <= slot < each[4]), None) for slot in range(origin, origin + CYCLE)
        ]
        start = 0
        for winner, run in groupby(winners):
            end = start + len(list(run))
            if winner is not None:
                _, scope, mode, _, _, variant = winner
                first = self.begin(cycle)
                yield Span(target, first + start, first + end, _MODES[mode], _SCOPES[scope], variant)
            start = end
