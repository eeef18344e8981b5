"""Judges answers: the checks in order, and the worker processes for large answers (docs/probing.md §1)."""

from services.prober.checks.captures import CaptureError, CompiledCapture, compile_capture
from services.prober.checks.explanation import CheckResult, explain
from services.prober.checks.judgement import CHECKS, Check, Judgement, needed
from services.prober.checks.worker_pool import JUDGING_SECONDS, TooCostlyError, UnjudgedError, WorkerPool

__all__ = [
    "CHECKS",
    "JUDGING_SECONDS",
    "CaptureError",
    "Check",
    "CheckResult",
    "CompiledCapture",
    "Judgement",
    "TooCostlyError",
    "UnjudgedError",
    "WorkerPool",
    "compile_capture",
    "explain",
    "needed",
]
