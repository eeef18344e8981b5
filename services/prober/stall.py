"""When the prober itself stood still: a loop that was kept from running sees every answer late. Pure.

Without this, an overloaded machine would read as late and silent targets; overload is UNKNOWN, never their failure.
"""

from __future__ import annotations

from collections import deque

from services.core.model import Reason
from services.prober.checks import Judgement
from services.prober.observation import Observation

__all__ = ["TICK_SECONDS", "LoopStalls", "excuse"]

TICK_SECONDS = 0.05
"""How often the loop shows that it runs."""

_NOTICED = 0.05
_TIMEOUTS = frozenset(
    {
        Reason.RESOLVE_TIMEOUT,
        Reason.CONNECT_TIMEOUT,
        Reason.TLS_TIMEOUT,
        Reason.ANSWER_TIMEOUT,
        Reason.BODY_TIMEOUT,
    }
)
# A timeout is the target's own unless the prober missed this share of it.
_MISSED_SHARE = 0.1


class LoopStalls:
    """The spans in which ticks came late, of the last ``remembered`` seconds. Times are any one clock's seconds."""

    def __init__(self, remembered: float) -> None:
        self.remembered = remembered
        self._last: float | None = None
        self._spans: deque[tuple[float, float]] = deque()

    def tick(self, now: float) -> None:
        """Take note that the loop ran at ``now``."""
        if self._last is not None and now - self._last > TICK_SECONDS + _NOTICED:
            self._spans.append((self._last + TICK_SECONDS, now))
        self._last = now
        while self._spans and self._spans[0][1] < now - self.remembered:
            self._spans.popleft()

    def seconds(self, began: float, ended: float) -> float:
        """How much of [began, ended] was stalled, up to a stall that is not over yet."""
        spans = list(self._spans)
        if self._last is not None and ended - self._last > TICK_SECONDS + _NOTICED:
            spans.append((self._last + TICK_SECONDS, ended))
        return sum(max(0.0, min(ended, to) - max(began, since)) for since, to in spans)


def excuse(judgement: Judgement, observation: Observation, limit: float, stalled: float) -> Judgement:
    """Return UNKNOWN/PROBER_ERROR in place of a lateness that may be the prober's own, else the judgement itself.

    ``limit`` is τ and ``stalled`` how long the prober stood still during the probe, in seconds.
    """
    if judgement.reason is Reason.LATE:
        ours = observation.latency is not None and observation.latency - stalled <= limit
    else:
        ours = _timed_out(judgement, observation) and stalled > _MISSED_SHARE * observation.duration
    if not ours or not stalled:
        return judgement
    detail = f"the prober stood still for {stalled * 1000:.0f} ms of a probe that ended {judgement.reason.name}"
    return Judgement(Reason.PROBER_ERROR, detail)


def _timed_out(judgement: Judgement, observation: Observation) -> bool:
    """Whether the deadline ended the probe; a line may also be missed because the other side hung up."""
    if judgement.reason is not Reason.LINE:
        return judgement.reason in _TIMEOUTS
    last = observation.steps[-1].observation if observation.steps else observation
    return last.failure is not None and last.failure.timed_out
