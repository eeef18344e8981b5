from __future__ import annotations

import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import psutil
import pytest

from services.cli.up.lines import restart_note
from services.cli.up.monitor import Monitor
from services.cli.up.processes import SupervisedProcess, running
from tests.support.waiting import eventually, until

SLEEPER = (sys.executable, "-c", "import signal; signal.pause()")


async def test_a_restart_and_a_stop_are_noted(tmp_path: Path) -> None:
    """A killed child is restarted and noted. A child stopped by a signal is named with the command that resumes it."""
    with (tmp_path / "lock").open("w") as lock:
        child = SupervisedProcess("child", SLEEPER, tmp_path / "logs" / "child.log", lock.fileno())
        other = SupervisedProcess("other", SLEEPER, tmp_path / "logs" / "other.log", lock.fileno())
        monitor = Monitor("127.0.0.1:1", "127.0.0.1:1", lambda _: "127.0.0.1:1", (child, other), 0.0)
        async with running(other, [child]):
            assert monitor._notes() == ()
            child.signal(signal.SIGKILL)
            await eventually(lambda: child.restarts == 1, what="the child was restarted")
            other.signal(signal.SIGSTOP)
            await eventually(lambda: other.suspended, what="the other child stood still")
            assert other.process is not None
            assert monitor._notes() == (
                restart_note("child", 1),
                f"other is stopped by a signal: `kill -CONT {other.process.pid}` lets it go on",
            )
            other.signal(signal.SIGCONT)
            await eventually(lambda: not other.suspended, what="the other child went on")


def test_a_child_ends_with_its_parent_and_holds_the_lock(tmp_path: Path) -> None:
    """When the parent is killed, its child ends by itself. Until then the data folder stays locked."""
    program = f"""
import asyncio, fcntl, pathlib, sys
from services.cli.up.processes import SupervisedProcess

async def main():
    with open({str(tmp_path / "lock")!r}, "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        child = SupervisedProcess("child", {SLEEPER!r}, pathlib.Path({str(tmp_path / "log")!r}), lock.fileno())
        await child.start()
        print(child.process.pid, flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = psutil.Process(int(parent.stdout.readline()))
    until(lambda: "signal.pause" in " ".join(child.cmdline()), what="the child ran its command")
    assert any(path.samefile(tmp_path / "lock") for path in Path(f"/proc/{child.pid}/fd").iterdir() if path.exists())
    parent.kill()
    parent.wait()
    parent.stdout.close()
    until(partial(_ended, child), what="the child ended")


def _ended(process: psutil.Process) -> bool:
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@pytest.mark.parametrize(("ours", "seen"), [(None, "50"), ("200", "200")])
async def test_a_default_holds_where_our_environment_says_nothing(
    ours: str | None, seen: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A child has the defaults of its environment, and whatever our own environment sets in their place."""
    monkeypatch.delenv("GOGC", raising=False) if ours is None else monkeypatch.setenv("GOGC", ours)
    with (tmp_path / "lock").open("w") as lock:
        child = SupervisedProcess("child", SLEEPER, tmp_path / "child.log", lock.fileno(), defaults={"GOGC": "50"})
        async with running(child, []):
            assert child.process is not None
            process = psutil.Process(child.process.pid)
            # Until the kernel has set up the program, its environment is empty.
            assert (await eventually(process.environ, "the child ran its command"))["GOGC"] == seen
