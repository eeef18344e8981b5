"""Probe kind `journey`: a citizen service from start to end, step by step, within one deadline (docs/probing.md §2)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from time import monotonic, perf_counter, time
from typing import Any

import httpx

from services.core.model import PHASES, Phases, Probe, Reason, Step, fill_placeholders, placeholders, template_texts
from services.prober.checks import CHECKS, CaptureError, CompiledCapture, TooCostlyError, UnjudgedError, compile_capture
from services.prober.excuses import is_our_share, is_our_timeout
from services.prober.expected import Expectations, compile_expectations
from services.prober.grpc import DescriptorError
from services.prober.kinds.captured_target import Origin, check_target, named_origins
from services.prober.kinds.kind import JourneyResult, ProbeEnvironment, ProbeKind
from services.prober.observation import Cause, Failure, Observation, Phase, StepFacts
from services.prober.secrets import MissingSecretError
from services.prober.transport import ProbeFailedError


@dataclass(frozen=True, slots=True)
class _PreparedStep:
    """A step, prepared as far as possible before earlier ones have run.

    ``captured`` are the variables that it needs from earlier steps. If there are any, ``expectations`` are None.
    ``origins`` are those that may get our credentials.
    """

    step: Step
    kind: ProbeKind
    captures: tuple[CompiledCapture, ...]
    captured: frozenset[str]
    expectations: Expectations | None
    origins: frozenset[Origin]

    @property
    def name(self) -> str:
        return self.step.probe.name

    @property
    def has_captured_target(self) -> bool:
        """Whether its target depends on an earlier answer."""
        return bool(self.captured & placeholders(self.step.target))


@dataclass(frozen=True, slots=True)
class JourneyTarget:
    """One journey, ready to be probed. Each run starts without cookies and captured variables."""

    environment: ProbeEnvironment = field(repr=False)
    params: Mapping[str, object]
    steps: tuple[_PreparedStep, ...]


def prepare(
    kinds: Mapping[str, ProbeKind],
    definition: Probe,
    target: str,
    params: Mapping[str, object],
    environment: ProbeEnvironment,
) -> JourneyTarget:
    """Build a journey whose steps are of ``kinds``. Raises ValueError.

    The placeholders of a step are the params, ``target``, and what earlier steps capture.
    """
    params = {**params, "target": fill_placeholders(target, params)}
    return JourneyTarget(environment, params, tuple(_prepared_steps(kinds, definition, params)))


def _prepared_steps(
    kinds: Mapping[str, ProbeKind], definition: Probe, params: Mapping[str, object]
) -> Iterator[_PreparedStep]:
    variables: frozenset[str] = frozenset()
    for step in definition.steps:
        needed = frozenset[str]().union(*map(placeholders, (step.target, *template_texts(step.probe))))
        captured = needed & variables
        yield _PreparedStep(
            step=step,
            kind=kinds[step.probe.kind],
            captures=tuple(
                compile_capture(variable, capture, step.probe.expect.namespaces)
                for variable, capture in step.capture.items()
            ),
            captured=captured,
            expectations=None if captured else _expectations(step, params),
            origins=named_origins(step, params, captured),
        )
        variables |= step.capture.keys()


def _expectations(step: Step, variables: Mapping[str, object]) -> Expectations:
    """Compile what a step expects. Its latency and the age of its data are judged with the journey's."""
    return compile_expectations(step.probe, variables, latency=None, max_age=None)


async def probe(journey: JourneyTarget, deadline: float) -> JourneyResult:
    """Run the steps in turn, up to the first that fails. Always end by ``deadline`` (monotonic seconds).

    After that, the steps that are always taken are run. Their results change nothing.

    Raises UnjudgedError when an answer was not judged by then, or when judging left too little time for a later step, and
    UnusableError when a step cannot be made as it is defined.
    """
    run = _JourneyRun(journey, deadline)
    failure: Failure | None = None
    steps = iter(journey.steps)
    try:
        for step in steps:
            if not await run.take(step):
                break
    except ProbeFailedError as failed:
        failure = failed.failure
    except Exception:  # our own fault
        await run.clean_up(steps)
        raise
    result = run.result(failure)
    await run.clean_up(steps)
    return result


class _JourneyRun:
    """One run of a journey, with cookies and captured variables of its own."""

    def __init__(self, journey: JourneyTarget, deadline: float) -> None:
        self._journey = journey
        self._deadline = deadline
        self._environment = replace(journey.environment, cookies=httpx.Cookies())
        self._variables = dict(journey.params)
        self._began, self._start = time(), perf_counter()
        self._awaited = self._judging = 0.0
        self._facts: list[StepFacts] = []
        self._expectations: list[Expectations] = []

    async def take(self, step: _PreparedStep) -> bool:
        """Run one step. Return whether the next may follow. Raises ProbeFailedError and UnjudgedError."""
        late = self._facts and monotonic() >= self._deadline
        if late and is_our_share(self._judging, perf_counter() - self._start):
            raise self._out_of_time(step)
        expectations, built = self._prepare(step)
        observation = await self._probe(step, built)
        self._facts.append(StepFacts(step.name, observation))
        self._expectations.append(expectations)
        self._awaited += observation.awaited
        answered = perf_counter()
        workers, provider = self._environment.workers, self._environment.provider
        try:
            judgement = await workers.judge(observation, expectations, CHECKS, self._deadline, provider)
        except TooCostlyError as error:
            failure = Failure(Phase.TRANSFER, Cause.TOO_COSTLY, str(error))
            self._facts[-1] = StepFacts(step.name, replace(observation, body=b"", failure=failure))
            return False
        if judgement.reason is not Reason.OK:
            return False
        for capture in step.captures:
            try:
                value = await workers.capture(capture, observation, self._deadline, provider)
            except (CaptureError, TooCostlyError) as error:
                detail = f"step {step.name} gives no value for variable {capture.variable}: {error}"
                raise ProbeFailedError(Failure(Phase.TRANSFER, Cause.CAPTURE, detail)) from error
            self._variables[capture.variable] = value
        self._judging += perf_counter() - answered
        return True

    async def clean_up(self, steps: Iterable[_PreparedStep]) -> None:
        """Take those of the steps left that are always taken, if there is time and all that they need was captured.

        Never raises.
        """
        for step in steps:
            if step.step.always and step.captured <= self._variables.keys() and monotonic() < self._deadline:
                with suppress(Exception):  # the journey has failed already
                    await self._probe(step, self._prepare(step)[1])

    def _out_of_time(self, step: _PreparedStep) -> UnjudgedError:
        return UnjudgedError(f"judging took {self._judging * 1000:.0f} ms of the time that step {step.name} had left")

    def _prepare(self, step: _PreparedStep) -> tuple[Expectations, Any]:
        """Return what a step expects, and its target as built by its kind. Raises ProbeFailedError."""
        try:
            expectations = step.expectations or _expectations(step.step, self._variables)
            if step.has_captured_target:
                target = fill_placeholders(step.step.target, self._variables)
                if refusal := check_target(step.step, target, step.origins):
                    raise ProbeFailedError(Failure(Phase.PREPARE, Cause.CAPTURE, refusal))
            built = step.kind.prepare(step.step.probe, step.step.target, self._variables, self._environment)
        except MissingSecretError as error:
            detail = f"step {step.name}: {error}"
            raise ProbeFailedError(Failure(Phase.PREPARE, Cause.CREDENTIAL, detail)) from error
        except ValueError as error:
            if not step.captured or isinstance(error, DescriptorError):
                raise
            variables = ", ".join(sorted(step.captured))
            # The text of the error may hold captured values.
            detail = f"step {step.name} cannot use what was captured for {variables}"
            raise ProbeFailedError(Failure(Phase.PREPARE, Cause.CAPTURE, detail)) from None
        return expectations, built

    async def _probe(self, step: _PreparedStep, built: Any) -> Observation:
        """Probe one step, within its own timeout and the journey's deadline."""
        end = monotonic() + step.step.probe.timeout
        observation = await step.kind.probe(built, min(self._deadline, end))
        assert isinstance(observation, Observation)  # steps are never journeys
        if step.captured:
            observation = _without_values(observation)
        if self._deadline < end and observation.failure is not None:
            if is_our_timeout(observation, self._judging, perf_counter() - self._start):
                raise self._out_of_time(step)
            # The journey's deadline ended the step, and the tokens of earlier steps used part of that time.
            observation = replace(observation, awaited=self._awaited + observation.awaited)
        if step.has_captured_target:
            # An answer led here: if the egress policy forbids the address, that answer is at fault.
            observation = replace(observation, redirected=True)
        return observation

    def result(self, failure: Failure | None) -> JourneyResult:
        """Combine the steps: times are summed, the status is the last answer's, and each address is listed once."""
        duration = perf_counter() - self._start
        observations = [step.observation for step in self._facts]
        last = observations[-1] if observations else Observation(self._began, duration)
        complete = failure is None and len(observations) == len(self._journey.steps)
        observation = Observation(
            time=self._began,
            duration=duration,
            phases=Phases(*(_sum(getattr(seen.phases, name) for seen in observations) for name in PHASES)),
            latency=_sum(seen.latency for seen in observations) if complete else None,
            status=last.status,
            failure=failure,
            certificate=next((seen.certificate for seen in observations if seen.certificate is not None), None),
            redirects=sum(seen.redirects for seen in observations),
            redirected=any(seen.redirects for seen in observations),
            addresses=tuple(dict.fromkeys(address for seen in observations for address in seen.addresses)),
            protocol=last.protocol,
            tls_version=last.tls_version,
            steps=tuple(self._facts),
            busy=sum(seen.busy for seen in observations),
        )
        return JourneyResult(observation, tuple(self._expectations))


def _without_values(observation: Observation) -> Observation:
    """Replace the detail of a failure, because it may name a captured host or path."""
    failure = observation.failure
    if failure is None:
        return observation
    detail = f"{failure.cause.name} in phase {failure.phase.name}".lower().replace("_", " ")
    return replace(observation, failure=replace(failure, detail=detail))


def _sum(seconds: Iterator[float | None]) -> float | None:
    """Return the sum of the values that are not None, or None if there are none."""
    present = [part for part in seconds if part is not None]
    return sum(present) if present else None
