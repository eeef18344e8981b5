"""Whether a vantage could see while a probe ran: control results before and after it (docs/probing.md §5, behaviour 35). Pure.

A round asks every control target once; rounds follow one another. A probe is believed when the last round that began
before it and the first that began after its end both passed, and those in between. So each failed round casts a
shadow, from the start of the last good round before it to the start of the first good one after it, and a probe that
touches a shadow saw nothing. Times are any one clock's seconds.
"""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar

__all__ = ["Bracket"]

Held = TypeVar("Held")


class Bracket(Generic[Held]):
    """Holds what probes saw until the next control round, then lets it go with whether the vantage was blind.

    ``remembered`` seconds is how long ago a probe that ends now may have begun.
    """

    def __init__(self, remembered: float) -> None:
        self.remembered = remembered
        self._held: list[tuple[float, float, Held]] = []
        self._shadows: deque[tuple[float, float]] = deque()
        self._good: float = float("-inf")
        self._blind_since: float | None = float("-inf")

    def __len__(self) -> int:
        """Return how many are held."""
        return len(self._held)

    @property
    def blind(self) -> bool:
        """True while the last round failed, and before the first one."""
        return self._blind_since is not None

    def hold(self, began: float, ended: float, held: Held) -> None:
        """Keep what a probe saw between ``began`` and ``ended`` until a round that began after it."""
        self._held.append((began, ended, held))

    def round(self, began: float, *, passed: bool) -> list[tuple[Held, bool]]:
        """Take in a finished round that began at ``began``; return what it releases, each with True when blind."""
        if passed:
            if self._blind_since is not None:
                self._shadows.append((self._blind_since, began))
                self._blind_since = None
            self._good = began
        elif self._blind_since is None:
            self._blind_since = self._good
        while self._shadows and self._shadows[0][1] < began - self.remembered:
            self._shadows.popleft()
        released = [entry for entry in self._held if entry[1] <= began]
        self._held = [entry for entry in self._held if entry[1] > began]
        return [(held, self._shadowed(start, end)) for start, end, held in released]

    def _shadowed(self, began: float, ended: float) -> bool:
        if self._blind_since is not None and ended > self._blind_since:
            return True
        return any(began < until and ended > since for since, until in self._shadows)
