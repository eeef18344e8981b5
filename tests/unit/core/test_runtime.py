"""The limit of open files, and a port that is taken."""

from __future__ import annotations

import re
import socket
import subprocess
import sys

import pytest

from services.core.errors import ListenError
from services.core.metrics import PageRegistry
from services.core.runtime import Health, _serving_pages
from tests.support.paths import ROOT

LIMITS = "import resource; print(*resource.getrlimit(resource.RLIMIT_NOFILE))"


def run_limited(program: str) -> subprocess.CompletedProcess[str]:
    """Run a program that may open 64 files, and 128 if it raises that limit."""
    program = f"from services.core.runtime import raise_descriptor_limit as raised; {program}"
    limited = ["sh", "-c", 'ulimit -Sn 64 && ulimit -Hn 128 && exec "$0" -c "$1"', sys.executable, program]
    return subprocess.run(limited, cwd=ROOT, capture_output=True, text=True, check=False)


def test_a_component_may_open_all_the_system_allows() -> None:
    """The soft limit is raised to the hard limit."""
    assert run_limited(f"raised(); {LIMITS}").stdout == "128 128\n"


def test_a_component_that_needs_more_files_says_so() -> None:
    """A hard limit below what a component needs is refused, with both numbers."""
    refused = run_limited("raised(2000)")
    assert refused.returncode == 1
    assert "it may have 128 files open at once and needs 2000: raise the limit" in refused.stderr


def test_a_taken_port_of_metrics_is_one_sentence() -> None:
    """The sentence names the address once, and what to do."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        where = f"127.0.0.1:{taken.getsockname()[1]}"
        sentence = f"/metrics cannot listen on {where}: Address already in use; choose another with --metrics"
        with (
            pytest.raises(ListenError, match=f"^{re.escape(sentence)}$"),
            _serving_pages(where, PageRegistry(), Health()),
        ):
            pass
