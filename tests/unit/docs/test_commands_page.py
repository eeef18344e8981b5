"""docs/commands.md lists exactly the commands and make targets that exist."""

from __future__ import annotations

import re

import pytest

from services.cli.components import COMPONENTS
from tests.support.commands import _command, faults
from tests.support.paths import ROOT

PAGE = (ROOT / "docs" / "commands.md").read_text("utf-8")
ROWS = re.findall(r"^\| (`.+`) \| .+ \|$", PAGE, re.MULTILINE)
LINES = [line for row in ROWS for line in re.findall(r"`([^`]+)`", row)]


def _paths() -> set[str]:
    """Return every command by its whole name, such as `register check`."""
    paths = set()
    for name, one in _command().commands.items():
        paths |= {f"{name} {sub}" for sub in one.commands} if hasattr(one, "commands") else {name}
    return paths


def test_every_command_has_a_row() -> None:
    """Each command of `peyvand` begins a table row, and each component is named."""
    missing = [path for path in _paths() if not any(re.match(rf"{path}\b", line) for line in LINES)]
    assert missing == []
    assert [name for name in COMPONENTS if f"`{name}`" not in PAGE] == []


@pytest.mark.parametrize("line", [line for line in LINES if " " in line or line in _paths()])
def test_every_row_is_a_command(line: str) -> None:
    """The command of each row exists and has the options that the row shows."""
    words = line.replace("[", "").replace("]", "").replace("…", "").split()
    assert faults(words) == []


def test_every_target_of_make_is_named() -> None:
    """The section on make names exactly the targets that the Makefile explains."""
    explained = set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    named = set(re.findall(r"`([a-z-]+)`", PAGE.split("\n## make\n")[1]))
    assert named - {"make"} == explained - {"help"}
