"""On a host that allows few open files a component says so, and blames neither its credentials nor its state."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.support.paths import ROOT
from tests.support.waiting import DEADLINE


@pytest.mark.parametrize("component", ["prober", "scorer", "collector", "api", "sandbox"])
def test_sixteen_descriptors_are_too_few(component: str) -> None:
    """A component that may have 16 files open ends with one sentence that says what to raise."""
    limited = ["sh", "-c", 'ulimit -n 16 && exec "$0" -m "services.$1"', sys.executable, component]
    done = subprocess.run(limited, cwd=ROOT, capture_output=True, text=True, timeout=DEADLINE, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"peyvand {component}: it may have 16 files open at once and needs 64: raise the limit, with `ulimit -n` in a shell "
        "or LimitNOFILE in a unit\n"
    )
