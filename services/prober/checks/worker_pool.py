"""Judging within a deadline: small answers in the loop, large ones in worker processes that are ended when they take too long.

ADR 43 states why, and ADR 55 why the pool is our own. A worker reads pickled calls from standard input and writes one line
of JSON for each.
"""

from __future__ import annotations

import asyncio
import json
import os
import pickle
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from time import monotonic
from typing import Any

from services.core.model import Reason
from services.prober.checks.captures import CaptureError, CompiledCapture
from services.prober.checks.judgement import Check, Judgement, judge
from services.prober.expected import Expectations
from services.prober.observation import Observation
from services.prober.secrets import UnusableError

# The loop that talks to targets has priority.
_NICENESS = 5


def judge_call(observation: Observation, expectations: Expectations) -> Mapping[str, object]:
    """Judge an answer; return the fields of its judgement."""
    judgement = judge(observation, expectations)
    return {"reason": judgement.reason, "detail": judgement.detail, "data_age": judgement.data_age}


def capture_call(finder: CompiledCapture, observation: Observation) -> Mapping[str, object]:
    """Capture a value from an answer; return it, or the error."""
    try:
        return {"value": finder.value(observation)}
    except CaptureError as error:
        return {"error": str(error)}


def main() -> None:
    """Run calls until standard input ends: each is (seconds it may take, function, arguments)."""
    with suppress(OSError):  # a service manager may forbid it
        os.nice(_NICENESS)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # from a terminal the prober gets it too, and ends us
    while True:
        try:
            seconds, function, arguments = pickle.load(sys.stdin.buffer)  # noqa: S301 - from our own prober
        except EOFError:
            return
        # The prober ends us at the deadline. If it cannot, the alarm does: nothing catches it.
        signal.setitimer(signal.ITIMER_REAL, seconds)
        result = json.dumps(function(*arguments)).encode()
        signal.setitimer(signal.ITIMER_REAL, 0)
        sys.stdout.buffer.write(result + b"\n")
        sys.stdout.buffer.flush()


_MAX_WORKERS = 4
# Judging a large answer may take this long even if it came at the last moment; a worker may have to be started first.
_MIN_SECONDS = 2.0
# A worker that nothing ends does so itself, this much later.
_ALARM_SECONDS = 2.0
# What is captured has at most 65,536 characters, percent-encoded with up to twelve for each.
_MAX_LINE = 1 << 21


class UnjudgedError(UnusableError):
    """An answer was not judged in time: our own fault, whatever the answer is."""


class WorkerPool:
    """Judges answers. Workers for large ones are started when they are first needed, and kept."""

    def __init__(self) -> None:
        self._room = asyncio.Semaphore(_MAX_WORKERS)
        self._idle: list[Process] = []

    async def judge(
        self, observation: Observation, expectations: Expectations, checks: Sequence[Check], deadline: float
    ) -> Judgement:
        """Judge by ``deadline`` (monotonic seconds), or soon after. Raises UnjudgedError.

        ``checks`` are those needed under the expectations.
        """
        if _runs_in_loop(observation, expectations):
            return judge(observation, expectations, checks)
        result = await self._call(judge_call, (observation, expectations), deadline)
        return Judgement(Reason(result["reason"]), result["detail"], result["data_age"])

    async def capture(self, capture: CompiledCapture, observation: Observation, deadline: float) -> object:
        """Capture a value from an answer by ``deadline``, or soon after. Raises CaptureError and UnjudgedError."""
        if capture.at_once is None or len(observation.body) <= capture.at_once:
            return capture.value(observation)
        result = await self._call(capture_call, (capture, observation), deadline)
        if "error" in result:
            raise CaptureError(result["error"])
        return result["value"]

    async def close(self) -> None:
        """End the idle workers."""
        while self._idle:
            await _end(self._idle.pop())

    async def _call(
        self, function: Callable[..., Mapping[str, object]], arguments: tuple[object, ...], deadline: float
    ) -> Mapping[str, Any]:
        until = max(deadline, monotonic() + _MIN_SECONDS)
        try:
            async with asyncio.timeout(until - monotonic()), self._room:
                return await self._call_worker(function, arguments, until)
        except TimeoutError as error:
            raise UnjudgedError("the answer could not be judged in the time of the probe") from error
        except (OSError, asyncio.IncompleteReadError) as error:
            raise UnjudgedError("the process that was to judge the answer ended") from error

    async def _call_worker(
        self, function: Callable[..., Mapping[str, object]], arguments: tuple[object, ...], until: float
    ) -> Mapping[str, Any]:
        worker = await self._worker()
        try:
            assert worker.stdin is not None
            assert worker.stdout is not None
            worker.stdin.write(pickle.dumps((until + _ALARM_SECONDS - monotonic(), function, arguments)))
            await worker.stdin.drain()
            line = await worker.stdout.readuntil(b"\n")
        except BaseException:
            await _end(worker)
            raise
        self._idle.append(worker)
        return dict(json.loads(line))

    async def _worker(self) -> Process:
        """Return an idle worker that is still alive, or start one."""
        while self._idle:
            worker = self._idle.pop()
            if worker.returncode is None:
                return worker
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            "from services.prober.checks.worker_pool import main; main()",
            stdin=PIPE,
            stdout=PIPE,
            stderr=DEVNULL,
            limit=_MAX_LINE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )


def _runs_in_loop(observation: Observation, expectations: Expectations) -> bool:
    if expectations.at_once is not None and len(observation.body) > expectations.at_once:
        return False
    steps = zip(observation.steps, expectations.steps, strict=True)
    return all(_runs_in_loop(step.observation, expected) for step, expected in steps)


async def _end(worker: Process) -> None:
    with suppress(ProcessLookupError):
        worker.kill()
    await worker.wait()
