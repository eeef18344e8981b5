"""Judges within a deadline: small answers in the event loop, large ones in workers that are ended if too slow.

ADR 43 states why, ADR 55 why the pool is our own, and ADR 62 whose fault it is when judging takes too long.
"""

from __future__ import annotations

import asyncio
import pickle
from asyncio.subprocess import Process
from collections.abc import Callable, Mapping, Sequence
from time import monotonic
from typing import Any, Final
from weakref import WeakValueDictionary

from services.core.model import Reason
from services.prober.checks.captures import CaptureError, CompiledCapture
from services.prober.checks.judgement import Check, Judgement, judge
from services.prober.checks.worker import capture_call, judge_call
from services.prober.checks.worker_process import call_worker, end_worker, processor_seconds, start_worker
from services.prober.expected import Expectations
from services.prober.observation import Observation
from services.prober.secrets import UnusableError

_MAX_WORKERS: Final = 4
# Judging a large answer may take this long even if the answer came at the last moment.
_MIN_SECONDS: Final = 2.0
# Starting a worker takes our own time. On a busy machine, it takes longer than a probe may.
_START_SECONDS: Final = 10.0
JUDGING_SECONDS: Final = 2 * _MIN_SECONDS + _START_SECONDS
"""How long after the deadline of a probe its answer may be judged: waiting for a worker, starting it, judging."""


class UnjudgedError(UnusableError):
    """An answer was not judged in time. This is our own fault, whatever the answer is."""


class TooCostlyError(Exception):
    """Judging an answer takes far more than usual. This is the answer's own fault."""


def far_above_usual(size: int) -> float:
    """Return the seconds of processor time that are far above the usual for judging an answer of ``size`` bytes.

    The slowest check, that by a JSON Schema, takes some 0.6 µs a byte.
    """
    return 0.5 + 3e-6 * size


class WorkerPool:
    """Judges answers. Workers for large ones start when first needed, and are kept. A provider uses one at a time."""

    def __init__(self) -> None:
        self._room = asyncio.Semaphore(_MAX_WORKERS)
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._idle: list[Process] = []

    async def judge(
        self,
        observation: Observation,
        expectations: Expectations,
        checks: Sequence[Check],
        deadline: float,
        provider: str,
    ) -> Judgement:
        """Judge an answer of a provider by ``deadline`` (monotonic seconds), or soon after.

        ``checks`` are those needed under the expectations. Raises UnjudgedError and TooCostlyError.
        """
        if _runs_in_loop(observation, expectations):
            return judge(observation, expectations, checks)
        result = await self.call(judge_call, (observation, expectations), deadline, provider)
        return Judgement(Reason(result["reason"]), result["detail"], result["data_age"])

    async def capture(
        self, capture: CompiledCapture, observation: Observation, deadline: float, provider: str
    ) -> object:
        """Capture a value from an answer, by ``deadline`` as above.

        Raises CaptureError, UnjudgedError and TooCostlyError.
        """
        if capture.at_once is None or len(observation.body) <= capture.at_once:
            return capture.value(observation)
        result = await self.call(capture_call, (capture, observation), deadline, provider)
        if "error" in result:
            raise CaptureError(result["error"])
        return result["value"]

    async def call(
        self,
        function: Callable[..., Mapping[str, object]],
        arguments: tuple[object, ...],
        deadline: float,
        provider: str,
    ) -> Mapping[str, Any]:
        """Call a function of a module in a worker, by ``deadline`` as above. Return its result.

        The result holds JSON values, and bytes under ``body``. Raises UnjudgedError and TooCostlyError.
        """
        until = max(deadline, monotonic() + _MIN_SECONDS)
        payload = pickle.dumps((function, arguments))
        turn = self._turns.setdefault(provider, asyncio.Lock())
        spent = 0.0
        try:
            async with asyncio.timeout(until - monotonic()) as limit, turn, self._room:
                worker = self._idle_worker()
                if worker is None:
                    loop = asyncio.get_running_loop()
                    limit.reschedule(loop.time() + _START_SECONDS)
                    worker = await start_worker()
                    until = max(until, monotonic() + _MIN_SECONDS)
                    limit.reschedule(loop.time() + until - monotonic())
                before = processor_seconds(worker)
                try:
                    result = await call_worker(worker, payload, until - monotonic())
                except BaseException:
                    spent = processor_seconds(worker) - before
                    await end_worker(worker)
                    raise
                self._idle.append(worker)
        except TimeoutError as error:
            if spent > far_above_usual(len(payload)):
                raise TooCostlyError(f"judging the answer did not end in {spent:.1f} s of processor time") from error
            raise UnjudgedError("the answer could not be judged in the time of the probe") from error
        except (OSError, asyncio.IncompleteReadError) as error:
            raise UnjudgedError("the process that was to judge the answer ended") from error
        if "exhausted" in result:
            raise TooCostlyError("judging the answer takes too much memory")
        return result

    async def close(self) -> None:
        """End the idle workers."""
        while self._idle:
            await end_worker(self._idle.pop())

    def _idle_worker(self) -> Process | None:
        """Return an idle worker that is still alive, if there is one."""
        while self._idle:
            worker = self._idle.pop()
            if worker.returncode is None:
                return worker
        return None


def _runs_in_loop(observation: Observation, expectations: Expectations) -> bool:
    if expectations.at_once is not None and len(observation.body) > expectations.at_once:
        return False
    steps = zip(observation.steps, expectations.steps, strict=True)
    return all(_runs_in_loop(step.observation, expected) for step, expected in steps)
