"""Probe kind `journey`: a citizen service from start to end, step by step, within one deadline (docs/probing.md §2)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from time import monotonic, perf_counter, time
from typing import Any

import httpx

from services.core.model import Phases, Probe, Reason, Step, fill_placeholders, placeholders, template_texts
from services.prober.checks import CHECKS, CaptureError, CompiledCapture, UnjudgedError, compile_capture
from services.prober.environment import ProbeEnvironment
from services.prober.excuses import is_our_timeout
from services.prober.expected import Expectations, compile_expectations
from services.prober.kinds.kind import ProbeKind
from services.prober.observation import Cause, Failure, Observation, Phase, StepFacts
from services.prober.secrets import MissingSecretError
from services.register.reading import read_target

__all__ = ["JourneyTarget", "prepare", "probe"]


@dataclass(frozen=True, slots=True)
class _Leg:
    """One step, as far as it can be made ready before earlier ones were made.

    ``captured`` are the variables it asks for that earlier steps capture, ``expectations`` None where they are needed.
    """

    step: Step
    kind: ProbeKind
    finders: tuple[CompiledCapture, ...]
    captured: frozenset[str]
    expectations: Expectations | None

    @property
    def name(self) -> str:
        """What the definition calls it."""
        return self.step.probe.name


@dataclass(frozen=True, slots=True)
class JourneyTarget:
    """One journey, ready to be made again and again; each time begins without cookies and captured variables."""

    environment: ProbeEnvironment = field(repr=False)
    given: Mapping[str, object]
    legs: tuple[_Leg, ...]


def prepare(
    kinds: Mapping[str, ProbeKind],
    definition: Probe,
    target: str,
    params: Mapping[str, object],
    environment: ProbeEnvironment,
) -> JourneyTarget:
    """Build a journey whose steps are of ``kinds``. Raises ValueError.

    A step may ask for the params, for ``target``, and for what earlier steps capture.
    """
    given = {**params, "target": fill_placeholders(target, params)}
    return JourneyTarget(environment, given, tuple(_legs(kinds, definition, given)))


def _legs(kinds: Mapping[str, ProbeKind], definition: Probe, given: Mapping[str, object]) -> Iterator[_Leg]:
    known: frozenset[str] = frozenset()
    for step in definition.steps:
        asked = frozenset[str]().union(*map(placeholders, (step.target, *template_texts(step.probe))))
        captured = asked & known
        yield _Leg(
            step=step,
            kind=kinds[step.probe.kind],
            finders=tuple(
                compile_capture(variable, capture, step.probe.expect.namespaces)
                for variable, capture in step.capture.items()
            ),
            captured=captured,
            expectations=None if captured else _expectations(step, given),
        )
        known |= step.capture.keys()


def _expectations(step: Step, variables: Mapping[str, object]) -> Expectations:
    """Compile what a step expects; its latency and the age of its data are judged with the journey's."""
    return compile_expectations(step.probe, variables, latency=None, max_age=None)


async def probe(journey: JourneyTarget, deadline: float) -> Observation:
    """Make the steps in turn, up to the first that fails; end by ``deadline`` (monotonic seconds), always.

    Raises UnjudgedError where an answer could not be judged by then, or judging left too little time for a later step.
    """
    began, start = time(), perf_counter()
    variables = dict(journey.given)
    environment = replace(journey.environment, cookies=httpx.Cookies())
    steps: list[StepFacts] = []
    failure: Failure | None = None
    judging = 0.0
    for leg in journey.legs:
        if steps and monotonic() >= deadline:
            raise _overtaken(leg, judging)
        awaited = sum(step.observation.awaited for step in steps)
        try:
            made = await _make(leg, variables, environment, _Course(start, deadline, awaited, judging))
        except _UnusableError as unusable:
            failure = unusable.failure
            break
        steps.append(made)
        answered = perf_counter()
        judgement = await environment.workers.judge(made.observation, made.expectations, CHECKS, deadline)
        if judgement.reason is not Reason.OK:
            break
        failure = await _capture(leg, made.observation, variables, environment, deadline)
        if failure is not None:
            break
        judging += perf_counter() - answered
    whole = failure is None and len(steps) == len(journey.legs)
    return _observation(began, perf_counter() - start, steps, failure, whole=whole)


@dataclass(frozen=True, slots=True)
class _Course:
    """How far a journey has come: its ``start`` (perf_counter), its ``deadline`` (monotonic), seconds that were ours so far.

    ``awaited`` went to tokens, and ``judging`` to answers.
    """

    start: float
    deadline: float
    awaited: float
    judging: float


def _overtaken(leg: _Leg, judging: float) -> UnjudgedError:
    return UnjudgedError(f"judging took {judging * 1000:.0f} ms of the time that step {leg.name} had left")


class _UnusableError(Exception):
    """A step that cannot be made with what earlier ones captured."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.detail)
        self.failure = failure


async def _make(
    leg: _Leg, variables: Mapping[str, object], environment: ProbeEnvironment, course: _Course
) -> StepFacts:
    """Make one step, within its own timeout and the journey's deadline."""
    step = leg.step
    expectations, built = _ready(leg, variables, environment)
    end = monotonic() + step.probe.timeout
    observation = await leg.kind.probe(built, min(course.deadline, end))
    if leg.captured:
        observation = _discreet(observation)
    if course.deadline < end and observation.failure is not None:
        if is_our_timeout(observation, course.judging, perf_counter() - course.start):
            raise _overtaken(leg, course.judging)
        # It was the journey's time that ran out, so the tokens of earlier steps took of it as well.
        observation = replace(observation, awaited=course.awaited + observation.awaited)
    if leg.captured & placeholders(step.target):
        # An answer sent us there: that our egress policy forbids the address is then the answer's fault.
        observation = replace(observation, redirected=True)
    return StepFacts(leg.name, observation, expectations)


def _discreet(observation: Observation) -> Observation:
    """Leave out what a failure says in words: it may name a host or a path that was captured."""
    failure = observation.failure
    if failure is None:
        return observation
    what = f"{failure.cause.name} in phase {failure.phase.name}".lower().replace("_", " ")
    return replace(observation, failure=replace(failure, detail=what))


def _ready(leg: _Leg, variables: Mapping[str, object], environment: ProbeEnvironment) -> tuple[Expectations, Any]:
    step = leg.step
    try:
        expectations = leg.expectations or _expectations(step, variables)
        if leg.captured & placeholders(step.target):
            _check_target(step, fill_placeholders(step.target, variables))
        return expectations, leg.kind.prepare(step.probe, step.target, variables, environment)
    except MissingSecretError as error:
        raise _UnusableError(Failure(Phase.PREPARE, Cause.CREDENTIAL, f"step {leg.name}: {error}")) from error
    except ValueError:
        if not leg.captured:
            raise
        asked = ", ".join(sorted(leg.captured))
        # The message of the error may hold what was captured.
        detail = f"step {leg.name} cannot use what was captured for {asked}"
        raise _UnusableError(Failure(Phase.PREPARE, Cause.CAPTURE, detail)) from None


def _check_target(step: Step, target: str) -> None:
    """Check that a target with captured values in it is one that the step's kind can ask. Raises ValueError."""
    try:
        asked = str(httpx.URL(target))  # a space in a path, and the like, is no fault: it goes percent-encoded
    except httpx.InvalidURL as error:
        raise ValueError("the target is not a URL") from error
    read_target(asked, step.probe.kind)


async def _capture(
    leg: _Leg, observation: Observation, variables: dict[str, object], environment: ProbeEnvironment, deadline: float
) -> Failure | None:
    """Take what later steps need from the answer; return what stops the journey."""
    for finder in leg.finders:
        try:
            variables[finder.variable] = await environment.workers.capture(finder, observation, deadline)
        except CaptureError as error:
            detail = f"step {leg.name} gives no value for variable {finder.variable}: {error}"
            return Failure(Phase.TRANSFER, Cause.CAPTURE, detail)
    return None


def _observation(
    began: float, duration: float, steps: list[StepFacts], failure: Failure | None, *, whole: bool
) -> Observation:
    """Put the steps together: sums of times, the last answer's status, each address once."""
    seen = [step.observation for step in steps]
    last = seen[-1] if seen else Observation(began, duration)
    latencies = [item.latency for item in seen if item.latency is not None]
    return Observation(
        time=began,
        duration=duration,
        phases=Phases(*(_sum(getattr(item.phases, name) for item in seen) for name in Phases.__slots__)),
        latency=sum(latencies) if whole and latencies else None,
        status=last.status,
        failure=failure,
        certificate=next((item.certificate for item in seen if item.certificate is not None), None),
        redirects=sum(item.redirects for item in seen),
        redirected=any(item.redirects for item in seen),
        addresses=tuple(dict.fromkeys(address for item in seen for address in item.addresses)),
        protocol=last.protocol,
        tls_version=last.tls_version,
        steps=tuple(steps),
    )


def _sum(parts: Iterator[float | None]) -> float | None:
    known = [part for part in parts if part is not None]
    return sum(known) if known else None
