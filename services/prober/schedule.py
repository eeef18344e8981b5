"""When each target is probed: once a slot, at a phase of its own, without drift (PROBING.md, behaviour 33). Pure.

Time is an argument throughout: epoch seconds. A slot is named by its start.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Container, Iterable
from dataclasses import dataclass, replace
from hashlib import blake2b

from services.core.evidence import Target

__all__ = ["Entry", "Launch", "Schedule", "share_of"]

# Event loop timers come up to half a millisecond early.
_EARLY = 0.0005
# Targets taken over in the middle of a slot start over half a second, or over a millisecond each when they are many.
_SPREAD = 0.5
_SPREAD_EACH = 0.001
# Phases keep clear of the last moment, or the targets there would be shed for every millisecond of lateness.
_ROOM = 0.98


@dataclass(frozen=True, slots=True)
class Entry:
    """A target to be probed in every slot that starts in [active_from, active_until). ``timeout`` in seconds."""

    target: Target
    timeout: float
    active_from: float = float("-inf")
    active_until: float = float("inf")


@dataclass(frozen=True, slots=True)
class Launch:
    """One probe to start at ``due``, for the slot that starts at ``slot_start``; ``latest`` is when it still fits."""

    due: float
    target: Target
    slot_start: int
    latest: float


def share_of(target: Target) -> float:
    """Where in [0, 1) the phase of a target lies: the same everywhere and always, spread evenly over targets."""
    name = f"{'endpoint' if target.endpoint else 'link'} {target.id}"
    return int.from_bytes(blake2b(name.encode(), digest_size=7).digest()) / (1 << 56)


def _due(launch: Launch) -> float:
    return launch.due


def _fits(launch: Launch) -> bool:
    """Tell whether a launch is as clear of its last moment as phases are."""
    return launch.due <= launch.slot_start + (launch.latest - launch.slot_start) * _ROOM


class Schedule:
    """The launches of one prober, slot after slot. Not a slot of a target is lost or doubled when targets change."""

    def __init__(self) -> None:
        self._slot_seconds = 0
        self._entries: dict[Target, Entry] = {}
        self._phases: list[tuple[float, Target]] = []
        self._slot = 0
        self._queue: deque[Launch] = deque()
        self._taken: set[Target] = set()

    def __len__(self) -> int:
        """Return how many targets there are."""
        return len(self._entries)

    def replace(self, entries: Iterable[Entry], slot_seconds: int, now: float) -> None:
        """Probe these targets from ``now`` on.

        In the slot that runs, those launched already are not launched again; those whose phase has passed are launched
        at once where their timeout still fits. One that was waiting and fits no more is launched too late on purpose,
        so that it is shed and its slot accounted for; one that is new here leaves this slot to whoever had it.
        """
        fresh = slot_seconds != self._slot_seconds
        known = set() if fresh else set(self._entries)
        self._entries = {entry.target: entry for entry in entries}
        self._phases = sorted(
            (share_of(entry.target) * (slot_seconds - entry.timeout) * _ROOM, entry.target)
            for entry in self._entries.values()
        )
        current = int(now // slot_seconds) * slot_seconds
        if fresh or current != self._slot:
            self._slot_seconds = slot_seconds
            if fresh or not self._queue:
                self._slot, self._taken = current, set()
        self._queue = deque(
            launch for launch in self._launches(self._slot, now, known) if launch.target in known or _fits(launch)
        )

    def _launches(self, slot: int, now: float, known: Container[Target] = ()) -> list[Launch]:
        """List what is not taken yet in a slot, by phase.

        What is overdue at ``now`` comes at once, a little spread where it is new here: what was merely waiting is few,
        and a moment later may be too late for it.
        """
        launches = []
        for phase, target in self._phases:
            entry = self._entries[target]
            if target not in self._taken and entry.active_from <= slot < entry.active_until:
                launches.append(Launch(slot + phase, target, slot, slot + self._slot_seconds - entry.timeout))
        overdue = bisect_left(launches, now, key=_due)
        waiting = [replace(launch, due=now) for launch in launches[:overdue] if launch.target in known]
        new = [launch for launch in launches[:overdue] if launch.target not in known]
        step = max(_SPREAD / max(len(new), 1), _SPREAD_EACH)
        taken_over = [replace(launch, due=now + number * step) for number, launch in enumerate(new)]
        return sorted(waiting + taken_over + launches[overdue:], key=_due)

    def next_due(self, now: float) -> float | None:
        """When the next launch is due, at most a slot ahead; None when there is nothing to probe."""
        if not self._entries:
            return None
        self._turn(now)
        return self._queue[0].due if self._queue else float(self._slot + self._slot_seconds)

    def take(self, now: float) -> list[Launch]:
        """Return the launches due by ``now``, in order, each once; after ``latest`` a launch is to be shed."""
        if not self._entries:
            return []
        due: list[Launch] = []
        while True:
            self._turn(now)
            if not self._queue or self._queue[0].due > now + _EARLY:
                return due
            launch = self._queue.popleft()
            self._taken.add(launch.target)
            due.append(launch)

    def _turn(self, now: float) -> None:
        """Go to the next slot once the queue is empty and its time has come.

        After a leap of more than a slot (a suspended machine, a corrected clock) the slots in between are left as they
        are: nothing was measured in them, and nothing names them.
        """
        current = int((now + _EARLY) // self._slot_seconds) * self._slot_seconds
        set_back = self._slot > current + self._slot_seconds
        if (self._queue or self._slot == current) and not set_back:
            return
        step = self._slot + self._slot_seconds
        self._slot = step if step <= current <= step + self._slot_seconds else current
        self._taken = set()
        # Phases count from the start of the slot, however late we come to it: no drift, and lateness shows.
        self._queue = deque(self._launches(self._slot, float("-inf")))
