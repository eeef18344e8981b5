"""A command whose output cannot be written ends without a traceback, as every Unix command does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import IO

import pytest

from tests.support.paths import ROOT
from tests.support.registers import write_register
from tests.support.waiting import DEADLINE

COMMANDS = (["probe", "REGISTER", "--json"], ["probe", "REGISTER"], ["register", "diff", "REGISTER", "REGISTER"])
"""The first prints within a group of tasks."""


def _printing_to(stdout: int | IO[bytes], words: list[str], folder: Path, **environment: str) -> tuple[int, str]:
    """Run a command that prints there; return its exit code and its errors."""
    register = str(write_register(folder / "register", base="http://127.0.0.1:9"))
    done = subprocess.run(
        [sys.executable, "-m", "services.cli", *(register if word == "REGISTER" else word for word in words)],
        cwd=ROOT,
        env={**os.environ, **environment},
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
    return done.returncode, done.stderr


@pytest.mark.parametrize("words", COMMANDS)
def test_a_reader_that_has_seen_enough(tmp_path: Path, words: list[str]) -> None:
    """When the reader of a pipe has gone, as `head` goes, a command ends and says nothing."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        assert _printing_to(writer, words, tmp_path) == (1, "")
    finally:
        os.close(writer)


@pytest.mark.parametrize("words", COMMANDS)
def test_a_full_disk(tmp_path: Path, words: list[str]) -> None:
    """When the file that a command prints to has no room, it says so in one sentence."""
    with Path("/dev/full").open("wb") as full:
        code, errors = _printing_to(full, words, tmp_path)
    assert (code, errors) == (1, "peyvand: its output cannot be written: No space left on device\n")


def test_a_locale_without_the_characters(tmp_path: Path) -> None:
    """What the encoding of the output lacks is escaped."""
    output = tmp_path / "output"
    with output.open("wb") as file:
        assert _printing_to(file, ["probe", "REGISTER", "--explain"], tmp_path, PYTHONIOENCODING="latin-1") == (0, "")
    assert b"\\u2717" in output.read_bytes()
