"""Workers of a pool end when the process that began them is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

from tests.support.processes import state
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
