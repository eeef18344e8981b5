"""The repository stays easy to find one's way in: few modules per folder, few lines per module (CONTRIBUTING.md)."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from tests.support.paths import ROOT

MODULES = 20
LINES = 300
SHORT = 200
"""Nine of ten modules of services/ have fewer lines (docs/adr/0133)."""
TABLES = {"services/core/metrics/table.py"}
"""Modules that consist of a table, one row after another."""
NESTED = re.compile(r"\bwhom?ever\b|\bof[\s#/*]+which\b", re.IGNORECASE)
"""Words that nest one sentence in another, also across the lines of a comment. Two short sentences read better."""
TEXTS = {".html", ".md", ".po", ".proto", ".py", ".pyi", ".sh", ".tpl", ".txt", ".yaml", ".yml"}


def _modules(top: str) -> list[Path]:
    return [path for path in sorted((ROOT / top).rglob("*.py")) if path.name != "__init__.py"]


@pytest.mark.parametrize("top", ["services", "tests/support", "tests/bench", "deploy"])
def test_a_folder_holds_few_modules(top: str) -> None:
    """Above twenty modules, those that belong together get a folder of their own."""
    modules = _modules(top)
    counts = {folder: sum(path.parent == folder for path in modules) for folder in {path.parent for path in modules}}
    assert {folder.relative_to(ROOT).as_posix(): count for folder, count in counts.items() if count > MODULES} == {}


@pytest.mark.parametrize("top", ["services", "tests", "deploy"])
def test_a_module_has_few_lines(top: str) -> None:
    """A module is short unless it is a table, because a longer one does several things."""
    lengths = {path.relative_to(ROOT).as_posix(): path.read_text("utf-8").count("\n") for path in _modules(top)}
    assert {name: length for name, length in lengths.items() if length > LINES and name not in TABLES} == {}


def test_most_modules_are_short() -> None:
    """Few modules come near the limit, so that a change seldom has to split one."""
    lengths = {path.relative_to(ROOT).as_posix(): path.read_text("utf-8").count("\n") for path in _modules("services")}
    long = {name: length for name, length in lengths.items() if length >= SHORT}
    assert len(long) <= len(lengths) / 10, sorted(long, key=long.__getitem__)[:10]


def test_the_architecture_is_short() -> None:
    """It shows rooms, not files, so that it is read in one sitting."""
    assert (ROOT / "ARCHITECTURE.md").read_text("utf-8").count("\n") <= 150


def test_a_class_name_stands_for_one_thing() -> None:
    """No class name occurs in two modules of services/, so that a reader need not look up which is meant."""
    found = [
        name
        for path in _modules("services")
        for name in re.findall(r"^class ([A-Z]\w*)", path.read_text("utf-8"), re.MULTILINE)
    ]
    assert [name for name, count in Counter(found).items() if count > 1] == []


@pytest.mark.parametrize("top", ["services", "docs", "tests", "deploy", "proto", "."])
def test_sentences_are_not_nested(top: str) -> None:
    """Documents, docstrings, comments and messages are in plain words. In the root, only documents are read."""
    paths = (ROOT / top).glob("*.md") if top == "." else (ROOT / top).rglob("*")
    texts = {path: path.read_text("utf-8", "replace") for path in sorted(paths) if path.suffix in TEXTS}
    found = [(path, text, match) for path, text in texts.items() for match in NESTED.finditer(text)]
    assert [
        f"{path.relative_to(ROOT)}:{text.count(chr(10), 0, match.start()) + 1}" for path, text, match in found
    ] == []
