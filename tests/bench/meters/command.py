"""Measure what a command of Peyvand costs, run as a person would run it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass

from tests.support.paths import ROOT

__all__ = ["CommandRun", "run_command"]


@dataclass(frozen=True, slots=True)
class CommandRun:
    """What a command took, in seconds, and its memory at the peak in MiB."""

    took: float
    cpu: float
    peak: float

    def __str__(self) -> str:
        return f"{self.took:.1f} s, CPU {self.cpu:.1f} s, peak RSS {self.peak:.0f} MiB"


def run_command(*words: str) -> CommandRun:
    """Run ``peyvand`` with some words, without counting other processes. Raises AssertionError when it fails."""
    began = time.monotonic()
    with subprocess.Popen(
        [sys.executable, "-m", "services.cli", *words], cwd=ROOT, stdout=subprocess.DEVNULL
    ) as process:
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, f"peyvand {words[0]} failed"
    return CommandRun(time.monotonic() - began, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)
