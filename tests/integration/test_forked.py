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
from tests.support.forked_command import forked_peyvand
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


def test_a_command_of_a_script_runs_where_and_as_the_script_does(tmp_path: Path) -> None:
    """A command forked for a script has its arguments, folder, umask, environment and streams, and the script its code."""
    script = (
        'umask 077; "$0" bus users "two words" --vantage north --out listed >shown\n'
        '"$0" bus init --credentials "two words/admin" 2>&1 || echo "exit code $?"'
    )
    done = subprocess.run(
        ["sh", "-c", script, forked_peyvand()],
        cwd=tmp_path,
        env={"PEYVAND_NATS": "tls://127.0.0.1:9", "PEYVAND_NATS_CA": "missing.pem"},
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=True,
    )
    assert "missing.pem" in done.stdout
    assert done.stdout.endswith("exit code 1\n")
    assert done.stderr == ""
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {path.relative_to(tmp_path).parts[0] for path in files} == {"two words", "listed", "shown"}
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}
