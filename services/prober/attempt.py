"""Probes one target once: sets the deadline, runs the kind, judges the answer, applies excuses. Never raises.

Every kind ends by its deadline: `transport.deadline.Deadline` cuts off any wait.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from math import inf
from time import monotonic, perf_counter, time
from typing import Any

from services.core.log import Logger
from services.core.model import Outcome, Probe, Reason, Target, unfrozen
from services.prober.assignments import Assignment
from services.prober.checks import Check, Judgement, TooCostlyError, UnjudgedError, needed
from services.prober.excuses import NO_CONNECTION, Circumstances, LoopStalls, excused
from services.prober.expected import Expectations, compile_expectations
from services.prober.grpc import Descriptors
from services.prober.kinds import KINDS_BY_NAME, JourneyResult, ProbeEnvironment, ProbeKind
from services.prober.observation import Observation
from services.prober.secrets import MissingSecretError, UnusableError, secret_references

_NOTHING = Expectations()


@unfrozen
class ProbeResult:
    """The result of one probe: what it saw, its judgement, the expectations, and the index of the params used.

    ``too_costly`` means that judging was given up. Judging again for an explanation would take as long.
    """

    observation: Observation
    judgement: Judgement
    expectations: Expectations = _NOTHING
    turn: int = 0
    too_costly: bool = False


@dataclass(frozen=True, slots=True)
class _PreparedTarget:
    """A target with everything that is built once, until the secrets or descriptors that it is built with change.

    ``secrets`` maps the references in it to the credentials in use.
    """

    assignment: Assignment
    kind: ProbeKind
    built: Any
    expectations: Expectations
    checks: tuple[Check, ...]
    secrets: Mapping[str, str]
    descriptors: Descriptors | None


@dataclass(slots=True, eq=False)
class ProbeRunner:
    """Probes assignments, and prepares each when it is first probed.

    Preparing a whole national register at once would stall the event loop for a second, and stalls falsify latencies.
    """

    environment: ProbeEnvironment
    log: Logger
    stalls: LoopStalls = field(default_factory=LoopStalls, kw_only=True)
    clock: Callable[[], float] = field(default=time, kw_only=True)
    _prepared: dict[tuple[Target, int], _PreparedTarget] = field(default_factory=dict, init=False)

    def forget(self) -> dict[tuple[Target, int], _PreparedTarget]:
        """Forget the prepared targets, because definitions may have changed. Return them for the caller to free."""
        prepared, self._prepared = self._prepared, {}
        return prepared

    async def probe(self, assignment: Assignment, turn: int = 0, *, slot_end: float = inf) -> ProbeResult:
        """Probe once, with the params at index ``turn``. A crash of the prober's own code is UNKNOWN/PROBER_ERROR.

        A probe that ends after ``slot_end`` (epoch seconds) is UNKNOWN/OVERRUN.
        """
        began, start, began_monotonic = time(), perf_counter(), monotonic()
        deadline = began_monotonic + assignment.definition.timeout
        expectations, too_costly = _NOTHING, False
        try:
            target = self._prepare(assignment, turn)
            seen = await target.kind.probe(target.built, deadline)
        except (MissingSecretError, UnusableError) as error:
            reason = Reason.OWN_CREDENTIAL if isinstance(error, MissingSecretError) else Reason.PROBER_ERROR
            observation, judgement = Observation(began, perf_counter() - start), Judgement(reason, str(error))
        except Exception as error:  # a crash is recorded and must not end the prober
            self.log.exception("probe_crashed", target=assignment.target.id, endpoint=assignment.target.endpoint)
            detail = f"the probe itself failed: {type(error).__name__}"
            observation, judgement = Observation(began, perf_counter() - start), Judgement(Reason.PROBER_ERROR, detail)
        else:
            expectations = target.expectations
            if isinstance(seen, JourneyResult):
                observation, expectations = seen.observation, replace(expectations, steps=seen.expectations)
            else:
                observation = seen
            try:
                judgement = await self.environment.workers.judge(
                    observation, expectations, target.checks, deadline, assignment.provider
                )
            except TooCostlyError as error:
                judgement, too_costly = Judgement(Reason.CHECK_ERROR, str(error)), True
            except UnjudgedError as error:
                judgement = Judgement(Reason.PROBER_ERROR, str(error))
            judgement = _name_record(judgement, assignment, turn)
        overran = self.clock() > slot_end
        if overran or judgement.reason is not Reason.OK:
            ours = Circumstances(
                limit=assignment.latency,
                stalled=self.stalls.seconds(began_monotonic, monotonic()),
                # Reading the table costs more than all other excuses together.
                conntrack_full=judgement.reason in NO_CONNECTION and self.environment.conntrack.full(),
                overran=overran,
            )
            judgement = excused(judgement, observation, ours)
        return ProbeResult(observation, judgement, expectations, turn, too_costly)

    def _prepare(self, assignment: Assignment, turn: int) -> _PreparedTarget:
        """Return the prepared target, or prepare it. Raises MissingSecretError and UnusableError."""
        definition, params = assignment.definition, assignment.params[turn]
        prepared = self._prepared.get((assignment.target, turn))
        if (
            prepared is not None
            and prepared.assignment is assignment
            and self._read(prepared.secrets) == prepared.secrets
            and self._descriptors(definition) is prepared.descriptors
        ):
            return prepared
        # Both are read before building, so that a change is noticed.
        secrets, descriptors = self._read(secret_references(definition)), self._descriptors(definition)
        kind = KINDS_BY_NAME[definition.kind]
        expectations = compile_expectations(
            definition, params, latency=assignment.latency, max_age=assignment.max_age, zone=assignment.zone
        )
        prepared = _PreparedTarget(
            assignment=assignment,
            kind=kind,
            built=kind.prepare(
                definition, assignment.url, params, replace(self.environment, provider=assignment.provider)
            ),
            expectations=expectations,
            checks=needed(expectations),
            secrets=secrets,
            descriptors=descriptors,
        )
        self._prepared[assignment.target, turn] = prepared
        return prepared

    def _read(self, references: Iterable[str]) -> dict[str, str]:
        return {reference: self.environment.secrets.get(reference) for reference in references}

    def _descriptors(self, definition: Probe) -> Descriptors | None:
        return self.environment.descriptors.of_file(definition.descriptors) if definition.descriptors else None


def _name_record(judgement: Judgement, assignment: Assignment, turn: int) -> Judgement:
    """Return the judgement with the number of the test record in its detail, if there are several records."""
    if len(assignment.params) == 1 or judgement.outcome is Outcome.OK:
        return judgement
    return replace(judgement, detail=f"test record {turn + 1} of {len(assignment.params)}: {judgement.detail}")
