"""Tracks which probers of a vantage are alive and measure, by the heartbeats and measurements received. Pure.

A heartbeat ages by the clock of its receiver, from the moment it arrives, so clocks of different machines need not
agree. The start time in a heartbeat tells a process from another one with the same id.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from math import inf
from typing import Final

from services.core.codec import Heartbeat

HEARTBEAT_SECONDS = 2.0
"""Seconds between heartbeats of a prober."""

SILENT_SECONDS = 3 * HEARTBEAT_SECONDS
"""A prober without a heartbeat for this many seconds counts as dead: two heartbeats may get lost."""

_MOST_PROCESSES: Final = 256
"""The most processes that are tracked, more than any vantage has.

Further ones are ignored, because anyone with the vantage's seed may invent any number of them.
"""


class MembershipChange(Enum):
    """The changes that a heartbeat may make, each with the event under which it is logged."""

    ARRIVED = "peer_arrived"
    LEFT = "peer_left"
    DOUBLED = "prober_doubled"


@dataclass(slots=True)
class _Process:
    heartbeat: Heartbeat
    received: float
    replaced: bool = False
    doubled: bool = False
    measured: float = -inf


class Membership:
    """The processes that probe from one vantage, including this one: ``prober``, ``started`` at that epoch second.

    All other times are seconds of any one clock.
    """

    def __init__(self, prober: str, started: float) -> None:
        self.prober = prober
        self.started = started
        self._processes: dict[tuple[str, float], _Process] = {}

    def __len__(self) -> int:
        """Return how many processes are alive, including this one."""
        return 1 + sum(not process.replaced for process in self._processes.values())

    def receive(self, heartbeat: Heartbeat, now: float) -> MembershipChange | None:
        """Record a heartbeat. Return the change that it makes, None if there is none.

        A new process with the id of another replaces it, as after a restart. If the replaced process sends another
        heartbeat, two processes have one id and both are alive. Each probes the same share, so nothing is lost.
        """
        key = (heartbeat.prober, heartbeat.started)
        if key == (self.prober, self.started):
            return None
        former = self._processes.pop(key, None)
        if heartbeat.leaving:
            return MembershipChange.LEFT if former else None
        if len(self._processes) >= _MOST_PROCESSES:
            return None
        namesakes = [
            process
            for (name, _), process in self._processes.items()
            if name == heartbeat.prober and not process.replaced
        ]
        if former is None:
            for process in namesakes:
                process.replaced = True
            self._processes[key] = _Process(heartbeat, now)
            return MembershipChange.ARRIVED
        doubled = bool(namesakes) or heartbeat.prober == self.prober
        self._processes[key] = _Process(heartbeat, now, doubled=doubled, measured=former.measured)
        return MembershipChange.DOUBLED if doubled and not former.doubled else None

    def expire(self, now: float) -> list[Heartbeat]:
        """Remove processes without a heartbeat for SILENT_SECONDS. Return the last of each that was not replaced."""
        silent = {key: item for key, item in self._processes.items() if item.received + SILENT_SECONDS <= now}
        for key in silent:
            del self._processes[key]
        return [process.heartbeat for process in silent.values() if not process.replaced]

    def next_expiry(self, now: float) -> float:
        """Return the seconds until a process may expire."""
        oldest = min((process.received for process in self._processes.values()), default=now)
        return oldest + SILENT_SECONDS - now

    def measured(self, prober: str, now: float) -> None:
        """Record that measurements of a prober arrived."""
        for process in self._processes.values():
            if process.heartbeat.prober == prober:
                process.measured = now

    def active_peers(
        self, register_version: str, probe_version: str, *, measured_since: float = -inf
    ) -> dict[str, int]:
        """Return the slot from which each other prober probes its share, by the prober's id.

        Probers with another version are left out, because they may not have the same targets. So are those whose last
        measurements arrived before ``measured_since``.
        """
        active: dict[str, int] = {}
        for process in self._processes.values():
            peer = process.heartbeat
            same = (peer.register_version, peer.probe_version) == (register_version, probe_version)
            present = same and not process.replaced and process.measured >= measured_since
            if present and peer.share_from is not None and peer.prober != self.prober:
                active[peer.prober] = min(peer.share_from, active.get(peer.prober, peer.share_from))
        return active
