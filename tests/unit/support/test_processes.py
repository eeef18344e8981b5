"""Logs are read while they are written, and workers of a pool end when the process that began them is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.support.processes import logged, state
from tests.support.waiting import until

PARENT = """
import os, threading
from concurrent.futures import ProcessPoolExecutor
from tests.support.processes import end_with_parent

def work():
    print(os.getpid(), flush=True)
    threading.Event().wait()

with ProcessPoolExecutor(1, initializer=end_with_parent) as pool:
    pool.submit(work).result()
"""


def test_a_worker_ends_with_its_parent() -> None:
    """A worker ends although its task never does, and nobody tells it."""
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        worker = int(parent.stdout.readline())
        os.kill(parent.pid, signal.SIGKILL)
        until(lambda: state(worker) == "Z", "the worker to end")


def test_a_line_that_is_being_written_is_left_out(tmp_path: Path) -> None:
    """The last line counts once it is whole, wherever it is cut. Lines that are not JSON are left out."""
    log = tmp_path / "log"
    assert logged(log) == []
    whole, last = b'{"event": "one"}\nstarted\n', '{"event": "ب"}\n'.encode()
    for end in range(len(last)):
        log.write_bytes(whole + last[:end])
        assert logged(log) == [{"event": "one"}]
    log.write_bytes(whole + last)
    assert [line["event"] for line in logged(log)] == ["one", "ب"]
