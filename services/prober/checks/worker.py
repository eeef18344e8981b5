"""Runs calls for the prober in a worker process, within bounds of time and memory.

The worker reads calls from standard input. Each is a pickle of the seconds that the call may take, and of its pickled
function and arguments. For each call it writes a line of JSON with the length of the ``body`` that follows. Its first
line says that it is ready.
"""

from __future__ import annotations

import json
import os
import pickle
import resource
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from services.prober.checks.captures import CaptureError, CompiledCapture
from services.prober.checks.judgement import judge
from services.prober.expected import Expectations
from services.prober.observation import Observation

# The loop that talks to targets has priority.
_NICENESS = 5
# The memory that a call may use. The tree of a document takes up to thirty times the size of its text.
_MEMORY_BYTES = 1 << 30
_MEMORY_PER_BYTE = 40


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
    """Make calls until standard input ends."""
    with suppress(OSError):  # a service manager may forbid it
        os.nice(_NICENESS)
    _, most = resource.getrlimit(resource.RLIMIT_DATA)
    _write({})
    while True:
        try:
            seconds, call = pickle.load(sys.stdin.buffer)  # noqa: S301 - from our own prober
        except EOFError:
            return
        # The prober ends this process at the deadline. If it cannot, the alarm does, which nothing catches.
        signal.setitimer(signal.ITIMER_REAL, seconds)
        with suppress(ValueError):  # the system allows less
            resource.setrlimit(resource.RLIMIT_DATA, (_MEMORY_BYTES + _MEMORY_PER_BYTE * len(call), most))
        try:
            function, arguments = pickle.loads(call)  # noqa: S301 - from our own prober
            result = function(*arguments)
        except MemoryError:
            result = {"exhausted": True}
        signal.setitimer(signal.ITIMER_REAL, 0)
        _write(result)


def _write(result: Mapping[str, Any]) -> None:
    body: bytes = result.get("body", b"")
    sys.stdout.buffer.write(json.dumps({**result, "body": len(body)}).encode() + b"\n" + body)
    sys.stdout.buffer.flush()
