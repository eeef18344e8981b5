"""The limit of open files, a port that is taken, waiting for the stop, and the end while a name is looked up."""

from __future__ import annotations

import asyncio
import re
import socket
import subprocess
import sys

import pytest
import uvloop

from services.core import log as logs
from services.core.errors import ListenError
from services.core.metrics import PageRegistry
from services.core.runtime import Health, Runtime, _EventLoop, _serving_pages
from services.core.settings import Settings
from tests.support.paths import ROOT
from tests.support.waiting import DEADLINE, HeldCalls, eventually

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


async def test_the_stop_ends_a_wait() -> None:
    """A wait ends after its time, or at the stop, and says which. After the stop nothing is waited for."""
    runtime = Runtime(Settings(), PageRegistry(), logs.logger(), asyncio.Event())
    assert not await runtime.wait(-1.0)
    assert not await runtime.wait(0.001)
    waiting = asyncio.create_task(runtime.wait(2 * DEADLINE))
    await asyncio.sleep(0)
    runtime.stop.set()
    async with asyncio.timeout(DEADLINE):
        assert await waiting
        assert await runtime.wait(2 * DEADLINE)
    assert await runtime.wait(0.0)


def test_a_component_ends_although_no_name_server_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """The event loop ends while a lookup that was given up goes on."""
    with HeldCalls(socket.getaddrinfo) as held:
        monkeypatch.setattr(socket, "getaddrinfo", lambda host, port, **_: held(host, port))

        async def give_up() -> bool:
            looking = asyncio.ensure_future(asyncio.get_running_loop().getaddrinfo("a.example", 443))
            await eventually(lambda: held.made, "the name is looked up")
            looking.cancel()
            await asyncio.wait({looking})
            return looking.cancelled()

        assert uvloop.run(give_up(), loop_factory=_EventLoop)
        assert not held.released.is_set()
