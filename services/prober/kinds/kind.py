"""What a kind of probe is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from services.core.model import Probe
from services.prober.environment import ProbeEnvironment
from services.prober.observation import Observation

__all__ = ["ProbeKind"]


@dataclass(frozen=True, slots=True)
class ProbeKind:
    """A kind of probe: what makes its targets ready, once, and what probes one of them by a deadline.

    ``prepare(definition, target, params, environment)`` fills in the texts and raises MissingSecretError or ValueError;
    ``probe(target, deadline)`` takes what it returned and monotonic seconds.
    """

    prepare: Callable[[Probe, str, Mapping[str, object], ProbeEnvironment], Any]
    probe: Callable[[Any, float], Awaitable[Observation]]
