"""Decides whether the prober itself caused a failure, and holds results until the next control round. Pure.

The excuses are one ordered list. attempt.py applies it when a probe has ended; pipeline.py applies it again when the
control rounds around the probe are known. An excuse replaces only the judgement, never the observation.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import inf
from typing import Final, Generic, TypeVar

from services.core.model import Outcome, Reason, unfrozen
from services.prober.checks import Judgement
from services.prober.observation import Failure, Observation

# A timeout is the target's own unless we used more than this share of its time.
_OUR_SHARE: Final = 0.1

_NO_ADDRESS: Final = frozenset({Reason.RESOLVE_FAILED, Reason.RESOLVE_TIMEOUT})
NO_CONNECTION: Final = frozenset({Reason.RESOLVE_FAILED, Reason.RESOLVE_TIMEOUT, Reason.CONNECT_TIMEOUT})
"""How a full connection-tracking table appears to a probe."""


@unfrozen
class Circumstances:
    """The prober's own part in one probe.

    ``limit`` (τ) is the latency allowed to the target, ``stalled`` how long the loop stood still, both in seconds.
    """

    limit: float = inf
    stalled: float = 0.0
    conntrack_full: bool = False
    overran: bool = False
    blind: bool = False
    unresolved: bool = False


Excuse = Callable[[Judgement, Observation, Circumstances], str]
"""One fault of ours: returns what happened, or an empty text if it does not excuse the judgement."""


def _overran(_judgement: Judgement, _observation: Observation, ours: Circumstances) -> str:
    return "the probe did not finish within its slot" if ours.overran else ""


def _awaited_token(judgement: Judgement, observation: Observation, _ours: Circumstances) -> str:
    """Excuse a timeout of a target whose time partly went into a token. A token that came at once excuses nothing."""
    last = _last(observation)
    if not _timed_out(judgement, observation) or last.awaited <= _OUR_SHARE * (last.awaited + last.duration):
        return ""
    step = f"step {observation.steps[-1].name}: " if observation.steps else ""
    return f"{step}getting a token took {last.awaited * 1000:.0f} ms of the time the target had for its answer"


def _conntrack_full(judgement: Judgement, _observation: Observation, ours: Circumstances) -> str:
    """Excuse a connection that failed while this machine could make none."""
    if judgement.reason not in NO_CONNECTION or not ours.conntrack_full:
        return ""
    return f"the connection-tracking table of this machine was full: {judgement.reason.label}"


def _stalled(judgement: Judgement, observation: Observation, ours: Circumstances) -> str:
    """Excuse a lateness that the prober's own stall explains: a loop that stands still sees every answer late.

    The time that the loop spent on the target's own bytes does not count, or a target could choose to be UNKNOWN.
    """
    stalled = max(0.0, ours.stalled - observation.busy)
    if judgement.reason is Reason.LATE:
        explains = observation.latency is not None and observation.latency - stalled <= ours.limit
    else:
        explains = _timed_out(judgement, observation) and stalled > _OUR_SHARE * observation.duration
    if not explains or not stalled:
        return ""
    return f"the prober stood still for {stalled * 1000:.0f} ms of a probe that ended {judgement.reason.name}"


def _unresolved(judgement: Judgement, observation: Observation, ours: Circumstances) -> str:
    """Excuse a name that did not resolve, or a timeout with slow resolution, while no name resolved at the vantage."""
    if not ours.unresolved:
        return ""
    resolving = observation.phases.resolve or 0.0
    slow = _timed_out(judgement, observation) and resolving > _OUR_SHARE * observation.duration
    if judgement.reason not in _NO_ADDRESS and not slow:
        return ""
    return f"no name resolved at this vantage around the probe, which saw {judgement.reason.name}"


def _blind(judgement: Judgement, _observation: Observation, ours: Circumstances) -> str:
    """Excuse every judgement, even OK, while control targets failed: the vantage could not see."""
    if not ours.blind or judgement.outcome is Outcome.UNKNOWN:
        return ""
    return f"a control target failed around the probe, which saw {judgement.reason.name}"


def _last(observation: Observation) -> Observation:
    return observation.steps[-1].observation if observation.steps else observation


def last_failure(observation: Observation) -> Failure | None:
    """Return the failure of a probe, for a journey that of its last step."""
    return _last(observation).failure


def _timed_out(judgement: Judgement, observation: Observation) -> bool:
    """Return whether the deadline decided the judgement."""
    failure = last_failure(observation)
    return failure is not None and failure.timed_out and judgement.outcome is not Outcome.UNKNOWN


EXCUSES: Final[Mapping[Reason, Excuse]] = {
    Reason.OVERRUN: _overran,
    Reason.OWN_CREDENTIAL: _awaited_token,
    Reason.LOCAL_RESOURCES: _conntrack_full,
    Reason.PROBER_ERROR: _stalled,
    Reason.RESOLVER_FAILED: _unresolved,
    Reason.VANTAGE_BLIND: _blind,
}
"""The excuses by the reason that each gives. The first one that applies counts."""


def excused(judgement: Judgement, observation: Observation, ours: Circumstances) -> Judgement:
    """Return UNKNOWN by the first excuse that applies, or else the judgement unchanged."""
    for reason, excuse in EXCUSES.items():
        detail = excuse(judgement, observation, ours)
        if detail:
            return Judgement(reason, detail)
    return judgement


def is_our_timeout(observation: Observation, ours: float, total: float) -> bool:
    """Return whether the deadline ended a probe while ``ours`` of ``total`` seconds were not the target's."""
    failure = observation.failure
    return failure is not None and failure.timed_out and is_our_share(ours, total)


def is_our_share(ours: float, total: float) -> bool:
    """Return whether ``ours`` of ``total`` seconds are too large a share for a timeout to be the target's own."""
    return ours > _OUR_SHARE * total


TICK_SECONDS: Final = 0.05
"""Seconds between ticks of the loop, which show that it runs while probes are under way."""

_NOTICED_SECONDS: Final = 0.05


class LoopStalls:
    """The spans in which the loop ticked late, for the last ``remembered`` seconds. Times are monotonic seconds."""

    def __init__(self, remembered: float = 0.0) -> None:
        self.remembered = remembered
        self._last: float | None = None
        self._spans: deque[tuple[float, float]] = deque()

    def tick(self, now: float) -> None:
        """Record that the loop ran at ``now``."""
        if self._is_late(now):
            self._spans.append((self._expected(), now))
        self._last = now
        while self._spans and self._spans[0][1] < now - self.remembered:
            self._spans.popleft()

    def rest(self) -> None:
        """Expect no further tick until one comes."""
        self._last = None

    def seconds(self, began: float, ended: float) -> float:
        """Return how many seconds of [began, ended] were stalled, including a stall that has not ended yet."""
        spans = [*self._spans, (self._expected(), ended)] if self._is_late(ended) else self._spans
        return sum(max(0.0, min(ended, until) - max(began, since)) for since, until in spans)

    def _expected(self) -> float:
        return (self._last or 0.0) + TICK_SECONDS

    def _is_late(self, now: float) -> bool:
        return self._last is not None and now - self._last > TICK_SECONDS + _NOTICED_SECONDS


Held = TypeVar("Held")


@dataclass(frozen=True, slots=True)
class VantageFaults:
    """What failed in a control round or around a probe: a control target (``blind``) or every name (``unresolved``)."""

    blind: bool = False
    unresolved: bool = False


class _Shadows:
    """The spans spoiled by failed rounds, each from the last good round before them to the first good one after."""

    def __init__(self) -> None:
        self._spans: deque[tuple[float, float]] = deque()
        self._good: float = float("-inf")
        self._since: float | None = float("-inf")

    def round(self, began: float, *, passed: bool, forgotten: float) -> None:
        """Record a round, and drop the spans that ended before ``forgotten``."""
        if passed:
            if self._since is not None:
                self._spans.append((self._since, began))
                self._since = None
            self._good = began
        elif self._since is None:
            self._since = self._good
        while self._spans and self._spans[0][1] < forgotten:
            self._spans.popleft()

    def touch(self, began: float, ended: float) -> bool:
        """Return whether a probe from ``began`` to ``ended`` overlaps a span."""
        if self._since is not None and ended > self._since:
            return True
        return any(began < until and ended > since for since, until in self._spans)


class Bracket(Generic[Held]):
    """Holds results of probes until the next control round, and releases each with what failed around it.

    A round checks every control target and name once, and rounds follow one another. A probe counts if the last round
    that began before it, the first round that began after its end, and all rounds in between passed
    (docs/probing.md §5, behaviour 35). Times are seconds of any one clock.

    A probe that ends now may have begun up to ``remembered`` seconds ago. Rounds around a held result are remembered too.
    """

    def __init__(self, remembered: float) -> None:
        self.remembered = remembered
        self._held: list[tuple[float, float, Held]] = []
        self._blind, self._unresolved = _Shadows(), _Shadows()

    def hold(self, began: float, ended: float, held: Held) -> None:
        """Hold the result of a probe that ran from ``began`` to ``ended`` until a round that began after it."""
        self._held.append((began, ended, held))

    def round(self, began: float, faults: VantageFaults) -> list[tuple[Held, VantageFaults]]:
        """Record a finished round that began at ``began``. Return the results it releases, with their faults."""
        forgotten = min([began - self.remembered, *(start for start, _, _ in self._held)])
        self._blind.round(began, passed=not faults.blind, forgotten=forgotten)
        self._unresolved.round(began, passed=not faults.unresolved, forgotten=forgotten)
        released = [entry for entry in self._held if entry[1] <= began]
        self._held = [entry for entry in self._held if entry[1] > began]
        return [
            (held, VantageFaults(self._blind.touch(start, end), self._unresolved.touch(start, end)))
            for start, end, held in released
        ]
