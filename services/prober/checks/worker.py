"""The process that judges large answers: asked by pickles on its standard input, answers with a line of JSON each."""

from __future__ import annotations

import os
import pickle
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress

import orjson

from services.prober.checks.captures import CaptureError, Finder
from services.prober.checks.judgement import judge
from services.prober.expected import Expectations
from services.prober.observation import Observation

__all__ = ["captured", "judged", "main"]

# The loop that talks to targets goes first.
_NICENESS = 5


def judged(observation: Observation, expectations: Expectations) -> Mapping[str, object]:
    """Judge an answer."""
    judgement = judge(observation, expectations)
    return {"reason": judgement.reason, "detail": judgement.detail, "data_age": judgement.data_age}


def captured(finder: Finder, observation: Observation) -> Mapping[str, object]:
    """Take a value from an answer."""
    try:
        return {"value": finder.value(observation)}
    except CaptureError as error:
        return {"error": str(error)}


def main() -> None:
    """Answer until there are no more questions: how long each may take in seconds, what to call, and with what."""
    with suppress(OSError):  # a service may be forbidden to
        os.nice(_NICENESS)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a terminal: the prober hears it and ends us
    while True:
        try:
            seconds, question, arguments = pickle.load(sys.stdin.buffer)  # noqa: S301 - by our own prober
        except EOFError:
            return
        # Whoever asked ends us in time. If it cannot, the alarm does: nobody catches it.
        signal.setitimer(signal.ITIMER_REAL, seconds)
        answer = orjson.dumps(question(*arguments))
        signal.setitimer(signal.ITIMER_REAL, 0)
        sys.stdout.buffer.write(answer + b"\n")
        sys.stdout.buffer.flush()
