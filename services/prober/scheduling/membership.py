"""Which probers of a vantage are alive, by the heartbeats heard. Pure.

A heartbeat ages by the clock of whoever hears it, from the moment it is heard: clocks of different machines need not
agree. A process is told from another of the same id by when it started.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

__all__ = ["HEARTBEAT_SECONDS", "SILENT_SECONDS", "Membership", "MembershipChange", "Peer"]

HEARTBEAT_SECONDS = 2.0
"""How often a prober says that it is alive."""

SILENT_SECONDS = 3 * HEARTBEAT_SECONDS
"""A prober not heard for this long is taken for dead: two heartbeats may get lost."""


@dataclass(frozen=True, slots=True)
class Peer:
    """What one heartbeat says; ``started`` tells processes of one id apart.

    ``share_from`` is the start of the first slot of which it probes its whole share, None while it probes nothing.
    """

    prober: str
    started: float
    register_version: str
    probe_version: str
    share_from: int | None


class MembershipChange(Enum):
    """What a heartbeat may tell that was not known."""

    ARRIVED = "arrived"
    LEFT = "left"
    DOUBLED = "doubled"


@dataclass(slots=True)
class _Heard:
    peer: Peer
    at: float
    replaced: bool = False
    doubled: bool = False


class Membership:
    """The processes that probe from one vantage, this one among them: ``prober``, ``started`` at that epoch second.

    All other times are any one clock's seconds.
    """

    def __init__(self, prober: str, started: float) -> None:
        self.prober = prober
        self.started = started
        self._heard: dict[tuple[str, float], _Heard] = {}

    def __len__(self) -> int:
        """Return how many are alive, with this one."""
        return 1 + sum(not heard.replaced for heard in self._heard.values())

    def hear(self, peer: Peer, *, leaving: bool, now: float) -> MembershipChange | None:
        """Take in a heartbeat; return what is new, None when nothing is.

        A process that is new and has the id of another replaces it: it was started again. If the other one speaks
        again, there are two of one id, and both are alive: each probes the same share, so nothing is lost.
        """
        key = (peer.prober, peer.started)
        if key == (self.prober, self.started):
            return None
        known = self._heard.pop(key, None)
        if leaving:
            return MembershipChange.LEFT if known else None
        namesakes = [heard for (name, _), heard in self._heard.items() if name == peer.prober and not heard.replaced]
        if known is None:
            for heard in namesakes:
                heard.replaced = True
            self._heard[key] = _Heard(peer, now)
            return MembershipChange.ARRIVED
        doubled = bool(namesakes) or peer.prober == self.prober
        self._heard[key] = _Heard(peer, now, doubled=doubled)
        return MembershipChange.DOUBLED if doubled and not known.doubled else None

    def lose(self, now: float) -> list[Peer]:
        """Forget who was not heard for SILENT_SECONDS; return those of them that were not replaced."""
        silent = {key: heard for key, heard in self._heard.items() if heard.at + SILENT_SECONDS <= now}
        for key in silent:
            del self._heard[key]
        return [heard.peer for heard in silent.values() if not heard.replaced]

    def next_loss(self, now: float) -> float:
        """Seconds until somebody may have to be forgotten."""
        return min((heard.at for heard in self._heard.values()), default=now) + SILENT_SECONDS - now

    def sharing(self, register_version: str, probe_version: str) -> dict[str, int]:
        """Return since which slot each other prober takes its share, by its id.

        Whoever works from another version may not have the same targets, and does not count; nor does this prober.
        """
        shares: dict[str, int] = {}
        for heard in self._heard.values():
            peer = heard.peer
            same = (peer.register_version, peer.probe_version) == (register_version, probe_version)
            if same and peer.share_from is not None and not heard.replaced and peer.prober != self.prober:
                shares[peer.prober] = min(peer.share_from, shares.get(peer.prober, peer.share_from))
        return shares
