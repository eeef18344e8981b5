"""Starts a worker process, makes calls in it and ends it, by the protocol of services.prober.checks.worker."""

from __future__ import annotations

import asyncio
import json
import os
import pickle
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Mapping
from contextlib import suppress
from time import clock_gettime
from typing import Any, Final

# These signals are for the prober, but a terminal and a service manager send them to its workers too. They are ignored
# before the imports, which take most of the start.
_PROGRAM: Final = """
import signal
for number in (signal.SIGINT, signal.SIGUSR1):
    signal.signal(number, signal.SIG_IGN)
from services.prober.checks.worker import main
main()
"""
# If nothing ends a worker, it ends itself, this much later.
_ALARM_SECONDS: Final = 2.0
# A captured value has at most 65,536 characters, each percent-encoded as up to twelve.
_MAX_LINE: Final = 1 << 21


async def start_worker() -> Process:
    """Start a worker, and wait until it takes calls."""
    worker = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        _PROGRAM,
        stdin=PIPE,
        stdout=PIPE,
        stderr=DEVNULL,
        limit=_MAX_LINE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    try:
        await _result(worker)  # ready
    except BaseException:
        await end_worker(worker)
        raise
    return worker


async def call_worker(worker: Process, call: bytes, seconds: float) -> Mapping[str, Any]:
    """Return the result of a call, a pickled function with its arguments, that should take ``seconds`` at most.

    Raises IncompleteReadError when the worker ends. One that is not waited for any more must be ended.
    """
    assert worker.stdin is not None
    worker.stdin.write(pickle.dumps((seconds + _ALARM_SECONDS, call)))
    await worker.stdin.drain()
    return await _result(worker)


async def _result(worker: Process) -> Mapping[str, Any]:
    assert worker.stdout is not None
    result: dict[str, Any] = json.loads(await worker.stdout.readuntil(b"\n"))
    result["body"] = await worker.stdout.readexactly(result["body"])
    return result


def processor_seconds(worker: Process) -> float:
    """Return the seconds of processor time that a worker has used; 0 if it has ended or the system does not tell."""
    try:
        return clock_gettime(~worker.pid << 3 | 2)  # the id of its clock, as by clock_getcpuclockid(3)
    except OSError:
        return 0.0


async def end_worker(worker: Process) -> None:
    """End a worker, whatever it does."""
    with suppress(ProcessLookupError):
        worker.kill()
    await worker.wait()
