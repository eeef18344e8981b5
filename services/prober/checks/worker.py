"""The worker process for large answers: reads pickled calls from standard input, writes one line of JSON for each."""

from __future__ import annotations

import os
import pickle
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress

import orjson

from services.prober.checks.captures import CaptureError, CompiledCapture
from services.prober.checks.judgement import judge
from services.prober.expected import Expectations
from services.prober.observation import Observation

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
        result = orjson.dumps(function(*arguments))
        signal.setitimer(signal.ITIMER_REAL, 0)
        sys.stdout.buffer.write(result + b"\n")
        sys.stdout.buffer.flush()
