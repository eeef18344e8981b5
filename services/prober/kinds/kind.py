"""What every kind of probe provides."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from services.core.model import Probe
from services.prober.environment import ProbeEnvironment
from services.prober.expected import Expectations
from services.prober.observation import Observation


@dataclass(frozen=True, slots=True)
class JourneyResult:
    """What a journey saw, and what each step that it took was expected to answer, captured variables filled in."""

    observation: Observation
    expectations: tuple[Expectations, ...]


@dataclass(frozen=True, slots=True)
class ProbeKind:
    """A kind of probe: ``prepare`` builds a target once, ``probe`` probes it by a deadline.

    ``prepare(definition, target, params, environment)`` fills in the texts and raises MissingSecretError or ValueError.
    ``probe(built, deadline)`` takes what it returned and monotonic seconds; it ends by the deadline, always.
    """

    prepare: Callable[[Probe, str, Mapping[str, object], ProbeEnvironment], Any]
    probe: Callable[[Any, float], Awaitable[Observation | JourneyResult]]
