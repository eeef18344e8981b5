"""What the tests of `make test` try of the deployment, counted among its checks."""

from __future__ import annotations

import re
import subprocess
import sys

from tests.images.check import Failure, NotDone
from tests.support.paths import ROOT

__all__ = ["passes"]


def passes(folder: str, which: str) -> str:
    """Run the tests of a folder that are so called; returns how many there were. Raises NotDone when one was skipped."""
    command = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"tests/{folder}", "-k", which)
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)
    last = done.stdout.strip().rpartition("\n")[2]
    if done.returncode:
        raise Failure(f"tests/{folder}: {last}")
    if "skipped" in last:
        raise NotDone(f"tests/{folder}: {last}")
    return re.sub(r" in [\d.]+s.*", "", last)
