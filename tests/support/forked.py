"""Processes of components and commands, forked from a server that has already imported their modules.

Importing takes a second of CPU. A forked process has its own event loop, signals, limits, files and exit code, as under
``python -m``. Some faults show only in a new interpreter: a module that a component does not import, or a variable that
a library reads from the environment when it is loaded. Tests for those start `peyvand up` or ``sys.executable``.
"""

from __future__ import annotations

import importlib
import os
import runpy
import signal
import subprocess
import sys
import zoneinfo
from collections.abc import Mapping, Sequence
from functools import cache
from multiprocessing import connection, forkserver, get_context
from multiprocessing.context import ForkServerContext
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock
from types import MappingProxyType
from typing import Self

import pytest

from tests.support.paths import ROOT
from tests.support.waiting import DEADLINE

__all__ = ["ForkedProcess", "run", "run_as"]

_NOTHING = Path(os.devnull)


@cache
def _server() -> ForkServerContext:
    """Start the server of this test process. It ends with the process."""
    context = get_context("forkserver")
    context.set_forkserver_preload(["__main__", "tests.support.preloaded", __name__])
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)  # the server imports modules from there
        patch.setenv("OPENBLAS_NUM_THREADS", "1")  # threads do not survive a fork
        forkserver.ensure_running()
    return context


def _become(
    module: str,
    arguments: Sequence[str],
    environment: Mapping[str, str],
    files: Sequence[Path],
    constants: Mapping[str, float],
) -> None:
    """Take over the standard streams and the constants, and run the module."""
    streams = [os.open(file, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOCTTY) for file in (_NOTHING, *files)]
    for name, value in constants.items():
        place, _, constant = name.rpartition(".")
        contents = vars(importlib.import_module(place))
        assert constant in contents, name
        contents[constant] = value
    run_as(module, arguments, environment, streams, ROOT)


def run_as(
    module: str, arguments: Sequence[str], environment: Mapping[str, str], streams: Sequence[int], folder: Path
) -> None:
    """Run ``python -m module`` in this process, with these arguments, environment, standard streams and working folder."""
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    # What the server knows of its own streams, such as whether they are files, is not true of these.
    sys.stdout, sys.stderr = (os.fdopen(number, "w", encoding="utf-8", closefd=False) for number in (1, 2))
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    zoneinfo.reset_tzpath()
    sys.argv[1:] = arguments
    runpy.run_module(module, run_name="__main__", alter_sys=True)


class ForkedProcess:
    """A running ``python -m module``, with the methods of subprocess.Popen. Its output is appended to files."""

    def __init__(
        self,
        module: str,
        *arguments: object,
        stdout: Path = _NOTHING,
        stderr: Path | None = None,
        environment: Mapping[str, str] = os.environ,
        constants: Mapping[str, float] = MappingProxyType({}),
    ) -> None:
        """Start it. Without ``stderr`` its errors go to ``stdout``.

        ``constants`` replaces numbers of modules, by MODULE.NAME, such as a time for which it waits.
        """
        self.args = [module, *map(str, arguments)]
        files = (stdout, stdout if stderr is None else stderr)
        for file in files:
            file.touch()  # so that readers find it at once
        self._process = _server().Process(
            target=_become, args=(module, self.args[1:], dict(environment), files, dict(constants)), daemon=True
        )
        self._process.start()
        self._reading = Lock()
        assert self._process.pid is not None
        self.pid = self._process.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.wait()

    @property
    def returncode(self) -> int | None:
        """The exit code once it has ended, negative for a signal."""
        with self._reading:
            return self._process.exitcode

    def poll(self) -> int | None:
        """Return the exit code once it has ended."""
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the exit code. Raises subprocess.TimeoutExpired."""
        if not connection.wait([self._process.sentinel], timeout) and self.returncode is None:
            raise subprocess.TimeoutExpired(self.args, timeout or 0.0)
        code = self.returncode
        assert code is not None
        return code

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal unless it has ended."""
        if self.returncode is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Send SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL."""
        self.send_signal(signal.SIGKILL)


def run(
    module: str, *arguments: object, environment: Mapping[str, str] = os.environ
) -> subprocess.CompletedProcess[str]:
    """Run ``python -m module`` to its end, as subprocess.run does, and return its exit code and output."""
    with TemporaryDirectory() as folder:
        out, errors = Path(folder, "out"), Path(folder, "errors")
        process = ForkedProcess(module, *arguments, stdout=out, stderr=errors, environment=environment)
        try:
            code = process.wait(DEADLINE)
        finally:
            process.kill()
        return subprocess.CompletedProcess(process.args, code, out.read_text("utf-8"), errors.read_text("utf-8"))
