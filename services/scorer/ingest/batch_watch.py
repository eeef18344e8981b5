"""Finds missing and misplaced batches among those that probers numbered and chained (docs/archive.md §3). Pure.

The archive accounts for each day after its end, over all batches. This module tells at once, about the batches that
came since the scorer began to read.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final

from services.core.codec import ChainPlace, decode_sender

_RUNS: Final = 100
"""How many runs of a vantage are watched, the latest ones.

A prober begins a few a day; a thief of its seed can begin any number.
"""

_AHEAD: Final = 256
"""How many batches of a run are kept behind a gap until the run is followed from there. A prober sends some dozens at once."""

_HOLES: Final = 256
"""How many gaps of a run are kept that batches sent again may fill, the latest ones."""

_RUN_SECONDS: Final = 26 * 3600.0
"""How long a run is watched after its last batch: as long as a prober keeps what was acknowledged."""


@dataclass(slots=True)
class _Run:
    """A run whose batches up to ``last`` came, except those in ``holes`` and the ``lost`` ones.

    ``digest`` is the hash of batch ``last``, empty if unknown.
    """

    last: int
    digest: bytes = b""
    ahead: dict[int, tuple[bytes, bytes]] = field(default_factory=dict)
    """Batches after a gap, by number: their own hash and that of the batch before."""
    holes: list[range] = field(default_factory=list)
    """The numbers that are missing up to ``last``, ascending."""
    lost: int = 0
    stored: float = 0.0

    @property
    def missing(self) -> int:
        """The number of batches that have not come although a later one has."""
        ahead = max(self.ahead) - self.last - len(self.ahead) if self.ahead else 0
        return self.lost + sum(map(len, self.holes)) + ahead

    def take(self, place: ChainPlace, digest: bytes) -> int:
        """Take a batch; return how many faults it shows.

        A fault is a number that comes again with other content, or a batch that names another one before it than came.
        """
        if place.number <= self.last:
            self._fill(place.number)
            return int(place.number == self.last and bool(self.digest) and digest != self.digest)
        if place.number in self.ahead:
            return int(digest != self.ahead[place.number][0])
        self.ahead[place.number] = digest, place.previous
        if len(self.ahead) > _AHEAD:
            first = min(self.ahead)
            self.holes.append(range(self.last + 1, first))
            self.last, self.digest = first - 1, b""
            self._forget()
        faults = 0
        while (following := self.ahead.pop(self.last + 1, None)) is not None:
            faults += bool(self.digest) and following[1] != self.digest
            self.last, self.digest = self.last + 1, following[0]
        return faults

    def _fill(self, number: int) -> None:
        """Take a batch out of the hole that it is missing in, if it is. What it follows is left to the archive."""
        for position, hole in enumerate(self.holes):
            if number in hole:
                parts = range(hole.start, number), range(number + 1, hole.stop)
                self.holes[position : position + 1] = filter(None, parts)
                self._forget()
                return

    def _forget(self) -> None:
        """Only count the first hole if there are too many."""
        if len(self.holes) > _HOLES:
            self.lost += len(self.holes.pop(0))


class BatchWatch:
    """The runs that the probers of each vantage had within the last day, each from its first batch that came."""

    def __init__(self) -> None:
        self._runs: dict[str, dict[tuple[str, bytes], _Run]] = defaultdict(dict)
        self.broken: Counter[str] = Counter()
        """By vantage: batches that do not follow the one before, or came again with other content."""

    def take(self, payload: bytes, stored: float) -> None:
        """Take a batch that the stream stored at ``stored``, in epoch seconds.

        Raises ValueError if it is not a batch.
        """
        sender = decode_sender(payload)
        if sender.place is None:
            return
        runs, key = self._runs[sender.vantage], (sender.prober, sender.place.run)
        run = runs.pop(key, None) or _Run(sender.place.number - 1)
        runs[key] = run  # the latest come last
        run.stored = max(run.stored, stored)
        self.broken[sender.vantage] += run.take(sender.place, sha256(payload).digest())
        if len(runs) > _RUNS:
            del runs[next(iter(runs))]

    def missing(self) -> Mapping[str, int]:
        """Return, by vantage, how many batches have not come although later ones of their run have."""
        for runs in self._runs.values():
            newest = max(run.stored for run in runs.values())
            for key in [key for key, run in runs.items() if run.stored < newest - _RUN_SECONDS]:
                del runs[key]
        return {vantage: sum(run.missing for run in runs.values()) for vantage, runs in self._runs.items()}
