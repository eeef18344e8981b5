"""Limits how many concurrent calls a peer may have, so that no peer takes the memory and time that others need."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from services.api.errors import ExhaustedError


class PeerLimits:
    """The calls under way of every peer, including watches; ``most`` is how many one peer may have."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._calls: Counter[str] = Counter()

    @contextmanager
    def call(self, peer: str) -> Iterator[None]:
        """Count a call for as long as the context lasts. Raises RequestError when that is one too many."""
        if self._calls[peer] >= self.most:
            raise ExhaustedError(
                "CALLS_TOO_MANY",
                f"{self.most} calls and watches are under way from this caller already: end some, or wait for one to end",
                calls=str(self.most),
            )
        self._calls[peer] += 1
        try:
            yield
        finally:
            self._calls[peer] -= 1
            if not self._calls[peer]:
                del self._calls[peer]
