"""Schedules each target once a slot, at a phase of its own, without drift (docs/probing.md §5, behaviour 33). Pure.

Time is always an argument, in epoch seconds. A slot is named by its start.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import blake2b
from operator import itemgetter

from services.core.model import Target, unfrozen

# Event loop timers come up to half a millisecond early.
_EARLY_SECONDS = 0.0005
# Targets taken over in the middle of a slot start over half a second, or this far apart if there are many and they fit.
# All at once, many would be shed. If half the rest of the slot is too short for that, they start faster.
_SPREAD_SECONDS = 0.5
_SPREAD_EACH_SECONDS = 0.005
_SPREAD_LEAST_SECONDS = 0.001
# Launches that closely follow one another share a moment, because at 200 a second waking up costs as much as the probe.
# If more were together, they would wait for each other while they are timed (docs/performance-log.md).
_LAUNCHES_TOGETHER = 3
_TOGETHER_SECONDS = 0.025
# Phases stay clear of the last moment. Otherwise the targets there would be shed for every millisecond of lateness.
_PHASE_ROOM = 0.95


@lru_cache(maxsize=1 << 17)
def target_hash(target: Target) -> int:
    """Return a 56-bit hash of a target: the same on every machine and in every run, and spread evenly over targets."""
    name = f"{'endpoint' if target.endpoint else 'link'} {target.id}"
    return int.from_bytes(blake2b(name.encode(), digest_size=7).digest())


def target_phase(target: Target) -> float:
    """Return the phase of a target, as a share in [0, 1) of the room in a slot."""
    return target_hash(target) / (1 << 56)


@dataclass(frozen=True, slots=True)
class ScheduleEntry:
    """A target to be probed in every slot that starts in [active_from, active_until). ``timeout`` in seconds."""

    target: Target
    timeout: float
    active_from: float = float("-inf")
    active_until: float = float("inf")
    phase: float = field(init=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "phase", target_phase(self.target))

    def covers(self, slot_start: int) -> bool:
        """Return whether the slot that starts at ``slot_start`` is probed."""
        return self.active_from <= slot_start < self.active_until

    def last_offset(self, slot_seconds: int) -> float:
        """Return the last offset in a slot, in seconds, at which a launch is still clear of the slot's last moment."""
        return (slot_seconds - self.timeout) * _PHASE_ROOM


@unfrozen
class Launch:
    """One probe to start at ``due``, for the slot that starts at ``slot_start``. After ``latest`` it no longer fits."""

    due: float
    target: Target
    slot_start: int
    latest: float


_due = itemgetter(0)


def _together(offsets: Iterable[tuple[float, ScheduleEntry]]) -> list[tuple[float, ScheduleEntry]]:
    """Return the launches in order of their offsets in a slot. A few close ones have the offset of the first."""
    together: list[tuple[float, ScheduleEntry]] = []
    first, members = float("-inf"), 0
    for offset, entry in offsets:
        if members == _LAUNCHES_TOGETHER or offset - first > _TOGETHER_SECONDS:
            first, members = offset, 0
        together.append((first, entry))
        members += 1
    return together


class Schedule:
    """The launches of one prober, slot after slot. No slot of a target is lost or doubled when targets change."""

    def __init__(self) -> None:
        self._slot_seconds = 0
        self._entries: dict[Target, ScheduleEntry] = {}
        self._offsets: list[tuple[float, ScheduleEntry]] = []
        self._slot = 0
        # Entries by due time. Launches are made when they are taken: a queue of launches would stall the loop.
        self._queue: deque[tuple[float, ScheduleEntry]] = deque()
        self._taken: set[Target] = set()
        self.leapt = 0
        """The number of slots skipped because the machine slept or its clock was set."""

    def replace(self, entries: Iterable[ScheduleEntry], slot_seconds: int, now: float) -> None:
        """Probe these targets from ``now`` on.

        In the current slot, targets that were already launched are not launched again. Targets whose phase has passed
        are launched at once if their timeout still fits. A target that was waiting and no longer fits is launched too
        late on purpose, so that it is shed and its slot accounted for. A new target that no longer fits leaves this
        slot to its former prober.
        """
        fresh = slot_seconds != self._slot_seconds
        former = {} if fresh else self._entries
        self._entries = {entry.target: entry for entry in entries}
        self._offsets = _together(
            sorted(
                ((entry.phase * entry.last_offset(slot_seconds), entry) for entry in self._entries.values()), key=_due
            )
        )
        current = int(now // slot_seconds) * slot_seconds
        if fresh or current != self._slot:
            self._slot_seconds = slot_seconds
            if fresh or not self._queue:
                self._slot, self._taken = current, set()
        self._queue = self._remaining(now, former)

    def _remaining(self, now: float, former: dict[Target, ScheduleEntry]) -> deque[tuple[float, ScheduleEntry]]:
        """Return the entries that are not launched yet in the current slot, by due time.

        An overdue entry is due at once. Targets that are new here are spread a little. Those that were already waiting
        are not: they are few, and a moment later may be too late for them.
        """
        slot, taken = self._slot, self._taken
        queue: list[tuple[float, ScheduleEntry]] = []
        new: list[ScheduleEntry] = []
        upcoming: list[tuple[float, ScheduleEntry]] = []
        for offset, entry in self._offsets:
            if entry.target in taken or not entry.covers(slot):
                continue
            if slot + offset >= now:
                upcoming.append((slot + offset, entry))
            elif entry.target in former and former[entry.target].covers(slot):
                queue.append((now, entry))
            else:
                new.append(entry)
        if new:
            room = slot + min(entry.last_offset(self._slot_seconds) for entry in new) - now
            step = min(max(_SPREAD_SECONDS / len(new), _SPREAD_EACH_SECONDS), room / 2 / len(new))
            step = max(step, _SPREAD_LEAST_SECONDS)
            taken_over = ((now + number * step, entry) for number, entry in enumerate(new))
            queue += ((due, entry) for due, entry in taken_over if due <= slot + entry.last_offset(self._slot_seconds))
        return deque(sorted(queue + upcoming, key=_due) if queue else upcoming)

    def next_due(self, now: float) -> float | None:
        """Return when the next launch is due, at most a slot ahead; None when there is nothing to probe."""
        if not self._entries:
            return None
        self._advance(now)
        return self._queue[0][0] if self._queue else float(self._slot + self._slot_seconds)

    def take(self, now: float, most: float = float("inf")) -> list[Launch]:
        """Return up to ``most`` launches due by ``now``, in order, each once. After ``latest``, one is to be shed."""
        if not self._entries:
            return []
        launches: list[Launch] = []
        self._advance(now)
        while self._queue and len(launches) < most and self._queue[0][0] <= now + _EARLY_SECONDS:
            due, entry = self._queue.popleft()
            self._taken.add(entry.target)
            launches.append(Launch(due, entry.target, self._slot, self._slot + self._slot_seconds - entry.timeout))
            if not self._queue:
                self._advance(now)
        return launches

    def _advance(self, now: float) -> None:
        """Go to the next slot once the queue is empty and its time has come.

        After a leap of more than a slot (a suspended machine, a corrected clock), the slots in between are skipped and
        counted in ``leapt``, because nothing was measured in them.
        """
        if self._queue and now + _EARLY_SECONDS >= self._slot - self._slot_seconds:
            return
        current = int((now + _EARLY_SECONDS) // self._slot_seconds) * self._slot_seconds
        if self._slot == current and not self._queue:
            return
        following = self._slot + self._slot_seconds
        near = following <= current <= following + self._slot_seconds
        self.leapt += 0 if near else max(0, (current - following) // self._slot_seconds)
        self._slot = following if near else current
        self._taken = set()
        # Offsets count from the start of the slot, however late it is reached: no drift, and lateness shows.
        self._queue = deque((self._slot + offset, entry) for offset, entry in self._offsets if entry.covers(self._slot))
