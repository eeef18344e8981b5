"""Record for tests.bench.passages which modules of services/ run in a process, in a file in folder PEYVAND_TRACE.

Python imports a module of this name at startup from a folder in PYTHONPATH. The first PEYVAND_TRACE_AFTER seconds are
not recorded. Recording ends at the first call of a function named PEYVAND_TRACE_UNTIL.
"""

from __future__ import annotations

import atexit
import os
import sys
import threading
import time
from pathlib import Path
from types import FrameType

_FOLDER = os.environ.get("PEYVAND_TRACE", "")


def _record() -> None:
    begin = time.monotonic() + float(os.environ.get("PEYVAND_TRACE_AFTER", "0"))
    until = os.environ.get("PEYVAND_TRACE_UNTIL", "")
    files: set[str] = set()

    def called(frame: FrameType, event: str, _: object) -> None:
        code = frame.f_code
        if event == "call" and "/services/" in code.co_filename and code.co_name != "<module>":
            if code.co_qualname == until:
                sys.setprofile(None)
                threading.setprofile(None)
            elif time.monotonic() > begin:
                files.add(code.co_filename)

    def write() -> None:
        sys.setprofile(None)
        command = " ".join(sys.orig_argv)
        lines = sorted(name[name.rindex("/services/") + 1 :] for name in files)
        Path(_FOLDER, f"{os.getpid()}.txt").write_text("\n".join([command, *lines]), "utf-8")

    sys.setprofile(called)
    threading.setprofile(called)
    atexit.register(write)


if _FOLDER:
    _record()
