"""Processes that tests fork behave like those that are started."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from services.core.bus.roles import write_users
from tests.support.forked import ForkedProcess, run
from tests.support.paths import ROOT
from tests.support.ports import free_port
from tests.support.processes import Process
from tests.support.waiting import DEADLINE, until


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 0), (signal.SIGKILL, -9)])
def test_a_forked_component_is_a_process_of_its_own(tmp_path: Path, number: signal.Signals, code: int) -> None:
    """A forked component has its own arguments, environment, log, limits and signals, and its exit code says how it
    ended.
    """
    write_users(tmp_path / "credentials")
    where = f"127.0.0.1:{free_port()}"
    popen = ForkedProcess(
        "services.scorer", "--nats", f"nats://127.0.0.1:{free_port()}", "--credentials", tmp_path / "credentials",
        "--data", tmp_path / "data", stdout=tmp_path / "log", environment={**os.environ, "PEYVAND_METRICS": where},
    )  # fmt: skip
    process = Process(popen, tmp_path / "log", where)
    until(lambda: process.page("/health")[0] == 503 and process.lines("started"), "it waited for its bus")
    assert process.lines("started")[0]["metrics"] == where
    soft, hard = resource.prlimit(popen.pid, resource.RLIMIT_NOFILE)
    assert soft == hard
    assert popen.poll() is None
    popen.send_signal(number)
    assert (popen.wait(DEADLINE), popen.poll(), popen.returncode) == (code,) * 3
    assert not Path(f"/proc/{popen.pid}").exists()


@pytest.mark.parametrize(("module", "flag"), [("services.cli", "--version"), ("services.scorer", "--no-such-setting")])
def test_a_forked_command_ends_as_a_started_one(module: str, flag: str) -> None:
    """The output, errors and exit code of a forked command are those of a new interpreter."""
    started = subprocess.run(
        [sys.executable, "-m", module, flag], cwd=ROOT, capture_output=True, text=True, timeout=DEADLINE, check=False
    )
    forked = run(module, flag)
    assert (forked.returncode, forked.stdout, forked.stderr) == (started.returncode, started.stdout, started.stderr)
