"""When each target is probed: once a slot, at a phase of its own, without drift (docs/probing.md §5, behaviour 33). Pure.

Time is an argument throughout: epoch seconds. A slot is named by its start.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Container, Iterable
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from operator import itemgetter

from services.core.model import Target, unfrozen

__all__ = ["Launch", "Schedule", "ScheduleEntry", "target_hash", "target_phase"]

# Event loop timers come up to half a millisecond early.
_EARLY = 0.0005
# Targets taken over in the middle of a slot start over half a second, or over a millisecond each when they are many.
_SPREAD = 0.5
_SPREAD_EACH = 0.001
# Phases keep clear of the last moment, or the targets there would be shed for every millisecond of lateness.
_ROOM = 0.95


@dataclass(frozen=True, slots=True)
class ScheduleEntry:
    """A target to be probed in every slot that starts in [active_from, active_until). ``timeout`` in seconds."""

    target: Target
    timeout: float
    active_from: float = float("-inf")
    active_until: float = float("inf")

    def covers(self, slot_start: int) -> bool:
        """Tell whether the slot that starts then is to be probed."""
        return self.active_from <= slot_start < self.active_until


@unfrozen
class Launch:
    """One probe to start at ``due``, for the slot that starts at ``slot_start``; ``latest`` is when it still fits."""

    due: float
    target: Target
    slot_start: int
    latest: float


@lru_cache(maxsize=1 << 17)
def target_hash(target: Target) -> int:
    """A hash of a target, 56 bits: the same everywhere and always, spread evenly over targets."""
    name = f"{'endpoint' if target.endpoint else 'link'} {target.id}"
    return int.from_bytes(blake2b(name.encode(), digest_size=7).digest())


def target_phase(target: Target) -> float:
    """Where in [0, 1) the phase of a target lies."""
    return target_hash(target) / (1 << 56)


_due = itemgetter(0)


class Schedule:
    """The launches of one prober, slot after slot. Not a slot of a target is lost or doubled when targets change."""

    def __init__(self) -> None:
        self._slot_seconds = 0
        self._entries: dict[Target, ScheduleEntry] = {}
        self._phases: list[tuple[float, ScheduleEntry]] = []
        self._slot = 0
        # When each is due. A launch is made of it when it is taken: a queue of launches would stall the loop.
        self._queue: deque[tuple[float, ScheduleEntry]] = deque()
        self._taken: set[Target] = set()
        self.leapt = 0
        """How many slots were leapt over because the machine slept or its clock was set."""

    def __len__(self) -> int:
        """Return how many targets there are."""
        return len(self._entries)

    def replace(self, entries: Iterable[ScheduleEntry], slot_seconds: int, now: float) -> None:
        """Probe these targets from ``now`` on.

        In the slot that runs, those launched already are not launched again; those whose phase has passed are launched
        at once where their timeout still fits. One that was waiting and fits no more is launched too late on purpose,
        so that it is shed and its slot accounted for; one that is new here leaves this slot to whoever had it.
        """
        fresh = slot_seconds != self._slot_seconds
        before = {} if fresh else self._entries
        self._entries = {entry.target: entry for entry in entries}
        self._phases = sorted(
            (
                (target_phase(target) * (slot_seconds - entry.timeout) * _ROOM, entry)
                for target, entry in self._entries.items()
            ),
            key=_due,
        )
        current = int(now // slot_seconds) * slot_seconds
        if fresh or current != self._slot:
            self._slot_seconds = slot_seconds
            if fresh or not self._queue:
                self._slot, self._taken = current, set()
        known = {target for target, entry in before.items() if entry.covers(self._slot)}
        self._queue = deque(
            (due, entry)
            for due, entry in self._due_in(self._slot, now, known)
            if entry.target in known or self._fits(due, entry)
        )

    def _fits(self, due: float, entry: ScheduleEntry) -> bool:
        """Tell whether a launch is as clear of its last moment as phases are."""
        return due <= self._slot + (self._slot_seconds - entry.timeout) * _ROOM

    def _due_in(self, slot: int, now: float, known: Container[Target] = ()) -> list[tuple[float, ScheduleEntry]]:
        """List what is not taken yet in a slot, by when it is due.

        What is overdue at ``now`` comes at once, a little spread where it is new here: what was merely waiting is few,
        and a moment later may be too late for it.
        """
        due = [
            (slot + phase, entry)
            for phase, entry in self._phases
            if entry.covers(slot) and entry.target not in self._taken
        ]
        passed = bisect_left(due, now, key=_due)
        waiting = [(now, entry) for _, entry in due[:passed] if entry.target in known]
        new = [entry for _, entry in due[:passed] if entry.target not in known]
        step = max(_SPREAD / max(len(new), 1), _SPREAD_EACH)
        taken_over = [(now + number * step, entry) for number, entry in enumerate(new)]
        return sorted(waiting + taken_over + due[passed:], key=_due) if passed else due

    def next_due(self, now: float) -> float | None:
        """When the next launch is due, at most a slot ahead; None when there is nothing to probe."""
        if not self._entries:
            return None
        self._turn(now)
        return self._queue[0][0] if self._queue else float(self._slot + self._slot_seconds)

    def take(self, now: float, most: float = float("inf")) -> list[Launch]:
        """Return the first ``most`` launches due by ``now``, in order, each once; after ``latest`` one is to be shed."""
        if not self._entries:
            return []
        due: list[Launch] = []
        self._turn(now)
        while self._queue and len(due) < most and self._queue[0][0] <= now + _EARLY:
            moment, entry = self._queue.popleft()
            self._taken.add(entry.target)
            due.append(Launch(moment, entry.target, self._slot, self._slot + self._slot_seconds - entry.timeout))
            if not self._queue:
                self._turn(now)
        return due

    def _turn(self, now: float) -> None:
        """Go to the next slot once the queue is empty and its time has come.

        After a leap of more than a slot (a suspended machine, a corrected clock) the slots in between are left as they
        are, but for ``leapt``: nothing was measured in them, and nothing names them.
        """
        if self._queue and now + _EARLY >= self._slot - self._slot_seconds:
            return
        current = int((now + _EARLY) // self._slot_seconds) * self._slot_seconds
        if self._slot == current and not self._queue:
            return
        step = self._slot + self._slot_seconds
        near = step <= current <= step + self._slot_seconds
        self.leapt += 0 if near else max(0, (current - step) // self._slot_seconds)
        self._slot = step if near else current
        self._taken = set()
        # Phases count from the start of the slot, however late we come to it: no drift, and lateness shows.
        self._queue = deque(self._due_in(self._slot, float("-inf")))
