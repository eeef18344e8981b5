"""Derives the times of a sandbox from the length of a slot. Pure.

Faults are told apart by time on a machine that may be busy, so the margins are as wide as the rules allow:

* A prober starts a probe in [slot start, slot end - timeout), with timeout < slot/2, and the register check requires
  timeout >= 2 x latency limit. A healthy answer takes milliseconds and has the whole latency limit as its margin;
  a slow answer is delayed from the moment the request is in, can only get slower, and has ``timeout - slow`` to spare.
* A slot's faults take effect ``lead`` seconds before it begins, at the quiet end of the slot before, when the last
  probe was accepted at least ``timeout - lead`` earlier. A probe at the very start then meets the new state.
"""

from __future__ import annotations

from dataclasses import dataclass

from services.core.errors import SettingsError

SHORTEST_SLOT = 2
LONGEST_SLOT = 3600


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds: ``timeout`` of a probe, ``latency`` limit, delay of a ``slow`` answer, ``lead`` of a change of state."""

    slot: int
    timeout: float
    latency: float
    slow: float
    lead: float

    def slot_at(self, moment: float) -> int:
        """Return the slot in effect at ``moment`` (epoch seconds); slot number = slot start // slot length."""
        return int((moment + self.lead) // self.slot)

    def effect(self, slot: int) -> float:
        """Return when the state of ``slot`` takes effect, in epoch seconds."""
        return slot * self.slot - self.lead


def slot_timing(slot: int) -> Timing:
    """Derive the times for slots of ``slot`` seconds. Raises SettingsError when that is too short or too long."""
    if not SHORTEST_SLOT <= slot <= LONGEST_SLOT:
        raise SettingsError(
            f"a sandbox cannot play slots of {slot} s: choose {SHORTEST_SLOT} to {LONGEST_SLOT} s with --slot"
        )
    timeout = round(min(max(0.24 * slot, 0.9), 2.0), 2)
    latency = round((timeout - 0.1) / 2, 2)
    return Timing(slot=slot, timeout=timeout, latency=latency, slow=round(latency + 0.1, 2), lead=0.3)
