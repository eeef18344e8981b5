"""Whether the api may say SERVING."""

from __future__ import annotations

__all__ = ["LOST_SECONDS", "Readiness"]

LOST_SECONDS = 10.0
"""How long the bus may bring nothing before the api says NOT_SERVING: longer than a restart of the bus takes."""


class Readiness:
    """Serving means: the register and the government's indicators are there, and the bus brings newer ones.

    While the bus is gone, or there but without the buckets that are followed, the api goes on answering from memory, every
    number with its ``as_of``; after LOST_SECONDS it says NOT_SERVING so that callers who can choose ask another. The
    moments are given, in seconds of one clock.
    """

    def __init__(self) -> None:
        self._lost_since: float | None = None

    def judge(self, *, complete: bool, fed: bool, now: float) -> bool:
        """Return whether to say SERVING now."""
        if fed:
            self._lost_since = None
        elif self._lost_since is None:
            self._lost_since = now
        return complete and (self._lost_since is None or now - self._lost_since <= LOST_SECONDS)
