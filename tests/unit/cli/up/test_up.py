from __future__ import annotations

from pathlib import Path

import pytest

from services.cli.commands.up import _LAST_FIRST_PORT
from services.cli.up.plan import _COMPONENTS, SystemPlan
from services.cli.up.up import _processes


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
