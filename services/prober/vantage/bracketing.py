"""Whether a vantage could see while a probe ran: control results before and after it (docs/probing.md §5, behaviour 35). Pure.

A round checks every control target once; rounds follow one another. A probe counts if the last round that began before it,
the first that began after its end, and all in between passed. So each failed round casts a shadow, from the start of the last
good round before it to the start of the first good one after it, and a probe that touches a shadow is blind. Times are
seconds of any one clock.
"""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar

Held = TypeVar("Held")


class Bracket(Generic[Held]):
    """Holds results of probes until the next control round, and releases each with whether the vantage was blind.

    A probe that ends now may have begun up to ``remembered`` seconds ago.
    """

    def __init__(self, remembered: float) -> None:
        self.remembered = remembered
        self._held: list[tuple[float, float, Held]] = []
        self._shadows: deque[tuple[float, float]] = deque()
        self._good: float = float("-inf")
        self._blind_since: float | None = float("-inf")

    def hold(self, began: float, ended: float, held: Held) -> None:
        """Hold the result of a probe that ran from ``began`` to ``ended`` until a round that began after it."""
        self._held.append((began, ended, held))

    def round(self, began: float, *, passed: bool) -> list[tuple[Held, bool]]:
        """Take in a finished round that began at ``began``; return the results it releases, each with True when blind."""
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
