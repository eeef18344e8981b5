"""README.md lists every page of docs, and docs/adr/README.md lists every decision."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.paths import ROOT

DECISIONS = sorted((ROOT / "docs" / "adr").glob("[0-9]*.md"))
LIST = (ROOT / "docs" / "adr" / "README.md").read_text("utf-8")
ROW = re.compile(r"^\| (\d+) \| \[(.+)\]\((\S+)\) \| (\w+).* \| ([\d-]+) \|$", re.MULTILINE)
HEAD = re.compile(r"# (\d+)\. (.+)\n\n\* Status: (\w+)[^*]*\n\* Date: ([\d-]+)")


def test_readme_leads_to_every_page() -> None:
    """Every page of docs is linked from README.md, except the log that the page of performance leads to."""
    readme = (ROOT / "README.md").read_text("utf-8")
    missing = [path.name for path in sorted((ROOT / "docs").glob("*.md")) if f"(docs/{path.name})" not in readme]
    assert missing == ["performance-log.md"]


@pytest.mark.parametrize("path", DECISIONS, ids=lambda path: path.stem)
def test_a_decision_has_a_row(path: Path) -> None:
    """A decision begins with its number, title, status and date, and the list says the same of it."""
    head = HEAD.match(path.read_text("utf-8"))
    assert head is not None
    number, title, status, date = head.groups()
    assert path.name.startswith(f"{int(number):04}-")
    assert (number, title, path.name, status, date) in ROW.findall(LIST)


def test_a_row_has_a_decision() -> None:
    """The list names only decisions that exist, once each, in their order."""
    assert [name for _, _, name, _, _ in ROW.findall(LIST)] == [path.name for path in DECISIONS]
