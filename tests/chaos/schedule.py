"""Draw a schedule of faults from a seed.

A fault depends only on the seed and its number, so that any of them can be left out.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

Draw = Callable[[random.Random], "Fault"]

_MOST_AT_ONCE = 4
_SPREAD_SECONDS = 2.0
"""The faults of one round begin within this time."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault: the ``action`` of a class (``kind``) on a ``victim``.

    It begins ``after`` seconds into its round and lasts ``seconds``, unless it is over at once. ``where`` narrows it
    down, for example to a node.
    """

    kind: str
    action: str
    victim: str
    seconds: float = 0.0
    where: str = ""
    number: int = 0
    after: float = 0.0

    def __str__(self) -> str:
        lasting = f" for {self.seconds:.1f} s" if self.seconds else ""
        where = f" {self.where}" if self.where else ""
        return f"{self.number}: {self.action} {self.victim}{where}{lasting}"


Round = Sequence[Fault]
"""Faults that happen together. The system recovers before the next round."""


def draw(seed: int, count: int, classes: Mapping[str, Draw], *, only: Collection[int] = ()) -> list[Round]:
    """Return ``count`` faults in rounds, of the classes in turn. Keep only numbers in ``only``, unless it is empty."""
    rounds = _rounds(seed, _faults(seed, count, classes))
    if not only:
        return rounds
    return [kept for one in rounds if (kept := [fault for fault in one if fault.number in only])]


def installations(rounds: Sequence[Round], most: int) -> Iterator[list[Round]]:
    """Yield the rounds of each installation, with ``most`` faults at most, but at least one round."""
    part: list[Round] = []
    for one in rounds:
        if part and sum(map(len, part)) + len(one) > most:
            yield part
            part = []
        part.append(one)
    if part:
        yield part


def _faults(seed: int, count: int, classes: Mapping[str, Draw]) -> Iterator[Fault]:
    names = list(classes)
    for number in range(count):
        chance = random.Random(f"{seed} {number}")
        fault = classes[names[number % len(names)]](chance)
        yield replace(fault, number=number, after=chance.uniform(0.0, _SPREAD_SECONDS))


def _rounds(seed: int, faults: Iterator[Fault]) -> list[Round]:
    """Group faults into rounds, no two with the same victim in one round."""
    chance = random.Random(f"{seed} rounds")
    rounds: list[list[Fault]] = [[]]
    room = chance.randint(1, _MOST_AT_ONCE)
    for fault in faults:
        if len(rounds[-1]) == room or fault.victim in {other.victim for other in rounds[-1]}:
            rounds.append([])
            room = chance.randint(1, _MOST_AT_ONCE)
        rounds[-1].append(fault)
    return [one for one in rounds if one]
