"""One attempt at one target: from its assignment to an observation and its judgement. The border of all probes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from time import monotonic, perf_counter, time
from typing import Any

from services.core.log import Logger
from services.core.model import Outcome, Reason, Target, unfrozen
from services.prober.assignments import Assignment
from services.prober.checks import DETAIL_LENGTH, Check, Judgement, UnjudgedError, needed
from services.prober.environment import ProbeEnvironment
from services.prober.errors import UnusableError
from services.prober.expected import Expectations, compile_expectations
from services.prober.kinds import KINDS, ProbeKind
from services.prober.observation import Observation
from services.prober.secrets import MissingSecretError, secret_references

__all__ = ["ProbeResult", "ProbeRunner"]

_NOTHING = Expectations()
_WITHOUT_CONNECTION = frozenset({Reason.RESOLVE_FAILED, Reason.RESOLVE_TIMEOUT, Reason.CONNECT_TIMEOUT})


@unfrozen
class ProbeResult:
    """What one attempt saw, what it means, what was expected of it, and which of the params it asked for."""

    observation: Observation
    judgement: Judgement
    expectations: Expectations = _NOTHING
    turn: int = 0


@dataclass(frozen=True, slots=True)
class _Ready:
    """A target with everything built that does not change; ``secrets`` are the credentials it was built with, by reference."""

    assignment: Assignment
    kind: ProbeKind
    built: Any
    expectations: Expectations
    checks: tuple[Check, ...]
    secrets: Mapping[str, str]


class ProbeRunner:
    """Probes assignments, each made ready when it is first probed.

    Building all of a national register at once would stall the loop for a second, and stalls falsify latencies.
    """

    def __init__(self, environment: ProbeEnvironment, log: Logger) -> None:
        self._environment = environment
        self._log = log
        self._ready: dict[tuple[Target, int], _Ready] = {}

    def forget(self) -> None:
        """Drop what was built: the definitions may have changed."""
        self._ready.clear()

    async def probe(self, assignment: Assignment, timeout: float, turn: int = 0) -> ProbeResult:
        """Probe once, within ``timeout`` seconds. Never raises: a crash of ours is UNKNOWN/PROBER_ERROR.

        ``turn`` says which of the assignment's params are filled in.
        """
        began, start = time(), perf_counter()
        deadline = monotonic() + timeout
        try:
            ready = self._make_ready(assignment, turn)
            observation = await ready.kind.probe(ready.built, deadline)
        except MissingSecretError as error:
            return ProbeResult(Observation(began, perf_counter() - start), Judgement(Reason.OWN_CREDENTIAL, str(error)))
        except UnusableError as error:
            return ProbeResult(Observation(began, perf_counter() - start), Judgement(Reason.PROBER_ERROR, str(error)))
        except Exception as error:  # noqa: BLE001 - the border: a crash is recorded, never a dead prober
            self._log.exception("probe_crashed", target=assignment.target.id, endpoint=assignment.target.endpoint)
            detail = f"the probe itself failed: {type(error).__name__}"
            return ProbeResult(Observation(began, perf_counter() - start), Judgement(Reason.PROBER_ERROR, detail))
        try:
            judgement = await self._environment.workers.judge(observation, ready.expectations, ready.checks, deadline)
        except UnjudgedError as error:
            judgement = Judgement(Reason.PROBER_ERROR, str(error))
        judgement = _named(self._excused(judgement), assignment, turn)
        return ProbeResult(observation, judgement, ready.expectations, turn)

    def _excused(self, judgement: Judgement) -> Judgement:
        """Return UNKNOWN in place of a connection that was not made while this machine could make none."""
        if judgement.reason not in _WITHOUT_CONNECTION or not self._environment.conntrack.full():
            return judgement
        detail = f"the connection-tracking table of this machine was full: {judgement.reason.label}"
        return Judgement(Reason.LOCAL_RESOURCES, detail)

    def _is_current(self, ready: _Ready) -> bool:
        return all(self._environment.secrets.get(reference) == secret for reference, secret in ready.secrets.items())

    def _make_ready(self, assignment: Assignment, turn: int) -> _Ready:
        ready = self._ready.get((assignment.target, turn))
        if ready is not None and ready.assignment is assignment and self._is_current(ready):
            return ready
        definition, params = assignment.definition, assignment.params[turn]
        secrets = {reference: self._environment.secrets.get(reference) for reference in secret_references(definition)}
        kind = KINDS[definition.kind]
        expectations = compile_expectations(
            definition, params, latency=assignment.latency, max_age=assignment.max_age, zone=assignment.zone
        )
        ready = _Ready(
            assignment=assignment,
            kind=kind,
            built=kind.prepare(definition, assignment.url, params, self._environment),
            expectations=expectations,
            checks=needed(expectations),
            secrets=secrets,
        )
        self._ready[assignment.target, turn] = ready
        return ready


def _named(judgement: Judgement, assignment: Assignment, turn: int) -> Judgement:
    """Return the judgement with the test record named that was asked for, where it failed and there are others."""
    if len(assignment.params) == 1 or judgement.outcome is Outcome.OK:
        return judgement
    detail = f"test record {turn + 1} of {len(assignment.params)}: {judgement.detail}"
    return replace(judgement, detail=detail[:DETAIL_LENGTH])
