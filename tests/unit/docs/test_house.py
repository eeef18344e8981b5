"""The house stays easy to find one's way in: folders hold few modules, and modules few lines (CONTRIBUTING.md)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.paths import ROOT

MODULES = 20
LINES = 300
TABLES = {"services/core/metrics/table.py"}
"""Modules that are a table, a row after the other."""


def _modules(top: str) -> list[Path]:
    return [path for path in sorted((ROOT / top).rglob("*.py")) if path.name != "__init__.py"]


@pytest.mark.parametrize("top", ["services", "tests/support", "tests/bench", "deploy"])
def test_a_folder_holds_few_modules(top: str) -> None:
    """Beyond twenty, what belongs together gets a folder of its own."""
    modules = _modules(top)
    counts = {folder: sum(path.parent == folder for path in modules) for folder in {path.parent for path in modules}}
    assert {folder.relative_to(ROOT).as_posix(): count for folder, count in counts.items() if count > MODULES} == {}


def test_a_module_has_few_lines() -> None:
    """All but tables: what has more does several things."""
    lengths = {path.relative_to(ROOT).as_posix(): path.read_text("utf-8").count("\n") for path in _modules("services")}
    assert {name: length for name, length in lengths.items() if length > LINES and name not in TABLES} == {}
