"""Runs a command that ends with the process that started it: ``python bound_process.py PARENT COMMAND…``.

The kernel sends SIGTERM to the command when the parent dies, however it dies. It is a program of its own because code between
fork and exec must not run in a process with threads. It imports the standard library only, so that it takes a few
milliseconds.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1  # Linux, prctl(2): kept across exec


def main() -> None:
    """Ask for the signal and become the command; end at once if the parent is gone already."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() == int(sys.argv[1]):
        os.execv(sys.argv[2], sys.argv[2:])  # noqa: S606  # the command is ours


if __name__ == "__main__":
    main()
