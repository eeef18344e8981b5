"""Which targets of a vantage are whose. Pure.

Rendezvous hashing (Thaler and Ravishankar 1998): every prober has a weight for every target, hashed from both names, and
the highest has it. Who joins takes some over, who goes leaves some behind, and nothing moves between the others.

A prober says from which slot on it probes its whole share. Until that slot whoever had a target keeps it, so that none is
lost on the way; because a slot is named, not a moment, clocks need not agree. What two probe in one slot counts once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from services.core.model import Target
from services.prober.scheduling.schedule import ScheduleEntry, target_hash

__all__ = ["Share", "Shares"]

_FOREVER = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True)
class Share:
    """What one prober probes: ``entries`` for the schedule, and which of those are its own and not to be handed over."""

    entries: tuple[ScheduleEntry, ...] = ()
    own: frozenset[Target] = frozenset()


class Shares:
    """The targets of one vantage, ready to be shared out: 20,000 of them among ten probers in a few milliseconds."""

    def __init__(self, entries: Iterable[ScheduleEntry] = ()) -> None:
        self._entries = tuple(entries)
        places = (target_hash(entry.target) for entry in self._entries)
        self._places = np.fromiter(places, np.uint64, len(self._entries))

    def of(self, prober: str, since: int, peers: Mapping[str, int], slot_start: int) -> Share:
        """Return what ``prober`` probes from the slot that starts at ``slot_start`` on.

        ``since`` and the values of ``peers`` (by the prober's id) are the starts of the first slots of which each
        probes its share; of its targets a prober is given all slots from its own ``since`` until a stronger one's.
        """
        mine = self._weights(prober)
        until = np.full(len(self._entries), _FOREVER)
        for peer, begins in peers.items():
            theirs = self._weights(peer)
            stronger = (theirs > mine) | ((theirs == mine) & (peer > prober))
            until[stronger] = np.minimum(until[stronger], begins)
        chosen = np.flatnonzero(until > max(since, slot_start)).tolist()
        entries = [
            _within(self._entries[at], since if since > slot_start else None, None if end == _FOREVER else end)
            for at, end in zip(chosen, until[chosen].tolist(), strict=True)
        ]
        own = (entry.target for entry, end in zip(entries, until[chosen].tolist(), strict=True) if end == _FOREVER)
        return Share(tuple(entries), frozenset(own))

    def _weights(self, prober: str) -> NDArray[np.uint64]:
        """Mix the targets with a prober by the finalizer of SplitMix64 (Steele, Lea and Flood 2014)."""
        mixed = self._places ^ np.uint64(int.from_bytes(blake2b(prober.encode(), digest_size=8).digest()))
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return mixed ^ (mixed >> np.uint64(31))


def _within(entry: ScheduleEntry, since: int | None, until: int | None) -> ScheduleEntry:
    """Narrow an entry to the slots that are its prober's; as it is when all are."""
    if since is None and until is None:
        return entry
    return replace(
        entry,
        active_from=entry.active_from if since is None else max(entry.active_from, since),
        active_until=entry.active_until if until is None else min(entry.active_until, until),
    )
