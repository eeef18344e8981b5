"""`peyvand exchange` leaves no temporary files behind when it is ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.paths import ROOT
from tests.support.waiting import until


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_removes_temporary_files(tmp_path: Path, number: signal.Signals) -> None:
    """`kill`, a closed terminal and Ctrl-C end the command at once, and what it had stored of the logs is removed."""
    temporary, log = tmp_path / "temporary", tmp_path / "log"
    temporary.mkdir()
    os.mkfifo(log)  # it waits for a writer for ever
    with subprocess.Popen(
        [sys.executable, "-m", "services.cli", "exchange", str(log)],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(temporary)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as command:
        try:
            until(lambda: list(temporary.glob("peyvand-*/CURRENT")), "the temporary state")
            command.send_signal(number)
            descriptor = os.open(log, os.O_RDWR)  # goes on if it began to wait just now
            until(lambda: command.poll() is not None, "the end of the command")
            os.close(descriptor)
        finally:
            command.kill()
    assert command.returncode == 128 + number
    assert list(temporary.iterdir()) == []
