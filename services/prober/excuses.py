"""Time of a probe that was ours: what the target then had too little of is not its fault. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from services.prober.observation import Cause, Failure, Observation

__all__ = ["excused", "missed"]

# As for stalls: a timeout is the target's own unless it went without this share of it.
_MISSED_SHARE: Final = 0.1


def missed(observation: Observation, ours: float, of: float) -> bool:
    """Whether the target timed out in a probe of which ``ours`` of ``of`` seconds were not its own."""
    return observation.failure is not None and observation.failure.timed_out and ours > _MISSED_SHARE * of


def excused(observation: Observation, awaited: float) -> Observation:
    """Return the observation, in place of a timeout of the target with ours where ``awaited`` seconds of it went to a token.

    A token that came at once excuses nothing: else a silent target would never be seen where tokens are short-lived.
    """
    failure = observation.failure
    if failure is None or not missed(observation, awaited, awaited + observation.duration):
        return observation
    detail = f"getting a token took {awaited * 1000:.0f} ms of the time the target had for its answer"
    return replace(observation, failure=Failure(failure.phase, Cause.CREDENTIAL, detail))
