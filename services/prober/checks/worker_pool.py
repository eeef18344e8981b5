"""Judging within a deadline: small answers at once, large ones in processes that are ended when they take too long."""

from __future__ import annotations

import asyncio
import os
import pickle
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from time import monotonic
from typing import Any

import orjson

from services.core.model import Reason
from services.prober.checks.captures import CaptureError, Finder
from services.prober.checks.judgement import Judgement, judge
from services.prober.checks.registry import Check
from services.prober.checks.worker import captured, judged
from services.prober.deadline import Deadline
from services.prober.errors import UnusableError
from services.prober.expected import Expectations
from services.prober.observation import Observation

__all__ = ["UnjudgedError", "WorkerPool"]

_PROCESSES = 4
# Judging a large answer may take this long also where it came at the last moment; a process may have to be started first.
_AT_LEAST = 2.0
# A process that nobody ends does so itself, this much later.
_LEFT_ALONE = 2.0
# What was captured is at most 65,536 characters, percent-encoded up to twelve for each.
_LINE = 1 << 21


class UnjudgedError(UnusableError):
    """An answer that was not judged in time: our own fault, whatever the answer is."""


class WorkerPool:
    """Judges answers. Processes for large ones are started when first needed, and kept."""

    def __init__(self) -> None:
        self._room = asyncio.Semaphore(_PROCESSES)
        self._idle: list[Process] = []

    async def judge(
        self, observation: Observation, expectations: Expectations, checks: Sequence[Check], deadline: float
    ) -> Judgement:
        """Judge by ``deadline`` (monotonic seconds), or soon after. Raises UnjudgedError.

        ``checks`` are those that are needed under the expectations.
        """
        if _at_once(observation, expectations):
            return judge(observation, expectations, checks)
        said = await self._ask(judged, (observation, expectations), deadline)
        return Judgement(Reason(said["reason"]), said["detail"], said["data_age"])

    async def capture(self, finder: Finder, observation: Observation, deadline: float) -> object:
        """Take a value from an answer by ``deadline``, or soon after. Raises CaptureError and UnjudgedError."""
        if finder.at_once is None or len(observation.body) <= finder.at_once:
            return finder.value(observation)
        said = await self._ask(captured, (finder, observation), deadline)
        if "error" in said:
            raise CaptureError(said["error"])
        return said["value"]

    async def close(self) -> None:
        """End the processes."""
        while self._idle:
            await _end(self._idle.pop())

    async def _ask(
        self, question: Callable[..., Mapping[str, object]], arguments: tuple[object, ...], deadline: float
    ) -> Mapping[str, Any]:
        until = max(deadline, monotonic() + _AT_LEAST)
        try:
            async with Deadline(until), self._room:
                return await self._answer(question, arguments, until)
        except TimeoutError as error:
            raise UnjudgedError("the answer could not be judged in the time of the probe") from error
        except (OSError, asyncio.IncompleteReadError) as error:
            raise UnjudgedError("the process that was to judge the answer ended") from error

    async def _answer(
        self, question: Callable[..., Mapping[str, object]], arguments: tuple[object, ...], until: float
    ) -> Mapping[str, Any]:
        process = await self._process()
        try:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(pickle.dumps((until + _LEFT_ALONE - monotonic(), question, arguments)))
            await process.stdin.drain()
            line = await process.stdout.readuntil(b"\n")
        except BaseException:
            await _end(process)
            raise
        self._idle.append(process)
        return dict(orjson.loads(line))

    async def _process(self) -> Process:
        while self._idle:
            process = self._idle.pop()
            if process.returncode is None:
                return process
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            "from services.prober.checks.worker import main; main()",
            stdin=PIPE,
            stdout=PIPE,
            stderr=DEVNULL,
            limit=_LINE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )


def _at_once(observation: Observation, expectations: Expectations) -> bool:
    if expectations.at_once is not None and len(observation.body) > expectations.at_once:
        return False
    return not observation.steps or all(_at_once(step.observation, step.expectations) for step in observation.steps)


async def _end(process: Process) -> None:
    with suppress(ProcessLookupError):
        process.kill()
    await process.wait()
