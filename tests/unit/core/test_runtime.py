"""The limit of open files."""

from __future__ import annotations

import subprocess
import sys

from tests.support.paths import ROOT

LIMITS = "import resource; print(*resource.getrlimit(resource.RLIMIT_NOFILE))"


def test_a_component_may_open_all_the_system_allows() -> None:
    """The soft limit is raised to the hard limit."""
    program = f"from services.core.runtime import raise_descriptor_limit as raised; raised(); {LIMITS}"
    limited = ["sh", "-c", 'ulimit -Sn 64 && ulimit -Hn 128 && exec "$0" -c "$1"', sys.executable, program]
    found = subprocess.run(limited, cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout == "128 128\n"
