from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from functools import partial
from pathlib import Path

import pytest

from services.cli.commands.up import _LAST_FIRST_PORT
from services.cli.up import up
from services.cli.up.plan import _COMPONENTS, SystemPlan
from services.cli.up.processes import ComponentError, SupervisedProcess
from services.cli.up.up import _processes
from services.core import log
from tests.support.ports import free_first_port
from tests.support.registers import write_register
from tests.support.waiting import eventually

SLEEPER = (sys.executable, "-c", "import signal; signal.pause()")


def test_rounds_and_open_data_are_shown_from_where_they_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The api and console of `peyvand up` read the folders to which other commands write in the same directory."""
    monkeypatch.chdir(tmp_path)
    data = tmp_path / "data"
    data.mkdir()
    plan = SystemPlan(data=data, register=None, sandbox={}, first_port=7410, seconds=None, exchanges=None, sources=None)
    _, components = _processes(plan, held=0)
    commands = {one.name: one.command for one in components}
    rounds, open_data = f"--rounds={tmp_path / 'rounds'}", f"--open-data={tmp_path / 'open-data'}"
    assert rounds in commands["api"]
    assert {rounds, open_data} <= set(commands["console"])


def test_the_last_port_is_one() -> None:
    """The highest accepted first port leaves room for the ports of every component."""
    assert _LAST_FIRST_PORT + max(_COMPONENTS.values()) == 65535


@pytest.mark.parametrize(("in_time", "fails"), [(True, True), (True, False), (False, True)])
async def test_a_run_of_limited_time_tells_of_a_failure(
    in_time: bool, fails: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`--for` ends with an error that names a process that failed meanwhile. Ctrl-C ends without: the screen told it."""
    logs = tmp_path / "data" / "logs"
    command = (sys.executable, "-c", "raise SystemExit(3)") if fails else SLEEPER

    def processes(plan: SystemPlan, held: int) -> tuple[SupervisedProcess, list[SupervisedProcess]]:
        server = SupervisedProcess("nats-server", SLEEPER, logs / "nats-server.log", held)
        started.append(SupervisedProcess("scorer", command, logs / "scorer.log", held))
        return server, started

    @asynccontextmanager
    async def ending(_: float | None) -> AsyncIterator[asyncio.Future[bool]]:
        async def end() -> bool:
            if fails:
                await eventually(lambda: started[0].failed, what="the scorer failed")
            return in_time

        yield asyncio.create_task(end())

    async def forever(*_: object) -> None:
        await asyncio.Event().wait()

    started: list[SupervisedProcess] = []
    for name, stand_in in (("_processes", processes), ("_ending", ending), ("_publish_and_show", forever)):
        monkeypatch.setattr(up, name, stand_in)
    monkeypatch.setattr(up, "keep_writable", forever)
    monkeypatch.setattr(os, "umask", lambda _: 0o022)
    monkeypatch.setattr(log, "configure_logging", lambda *_: None)
    plan = partial(SystemPlan, data=tmp_path / "data", sandbox={}, exchanges=None, sources=None, seconds=60.0)
    told = pytest.raises(ComponentError, match="scorer failed meanwhile, so this run may lack")
    with told if in_time and fails else nullcontext():
        await up.run(plan(register=write_register(tmp_path / "register"), first_port=free_first_port()))
