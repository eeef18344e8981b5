"""The Shell, Python and SQL blocks of the pages in Markdown, and running them."""

from __future__ import annotations

import os
import re
import signal
import stat
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

from tests.support.forked_command import forked_peyvand
from tests.support.paths import ROOT
from tests.support.waiting import DEADLINE

__all__ = ["Block", "block", "blocks", "pages", "run_block", "started_block", "write_peyvand", "write_script"]

_ASKS_THE_API = "explain|indicator|structure|tabulate|rounds|history"

_PART = re.compile(
    r"^#+ (?P<heading>[^\n]*)$|^(?P<indent> *)```(?P<language>\w*)\n(?P<body>.*?)^(?P=indent)```$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Block:
    """One block: its name (page, heading, number below the heading), its language, and its text without indent."""

    name: str
    language: str
    text: str

    @property
    def runs(self) -> bool:
        """Whether it is Shell, Python or SQL, or has no language and begins like a command."""
        commands = not self.language and self.text.startswith(("make ", "$ "))
        return commands or self.language in ("bash", "sh", "shell", "python", "sql")


def pages() -> list[str]:
    """Return every page of the root and of docs/, relative to the repository's root."""
    return sorted([page.name for page in ROOT.glob("*.md")] + [f"docs/{page.name}" for page in ROOT.glob("docs/*.md")])


def blocks(page: str) -> list[Block]:
    """Return the Shell, Python and SQL blocks of a page, in order."""
    found, heading, numbers = [], "", Counter[str]()
    for part in _PART.finditer((ROOT / page).read_text("utf-8")):
        if part["heading"] is not None:
            heading = part["heading"]
            continue
        one = Block(f"{page}: {heading} {numbers[heading] + 1}", part["language"], dedent(part["body"]))
        if one.runs:
            numbers[heading] += 1
            found.append(one)
    return found


def block(name: str) -> Block:
    """Return the block of this name."""
    (found,) = [one for one in blocks(name.partition(":")[0]) if one.name == name]
    return found


def write_script(path: Path, text: str) -> None:
    """Write an executable Shell script."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def write_peyvand(path: Path, *, api: str = "", up: str = "") -> None:
    """Write a `peyvand` that runs this repository's code, with other ports where a command would take the defaults."""
    write_script(
        path,
        f'case "$1" in up) exec {sys.executable} -m services.cli "$@" {up};;\n'
        f'{_ASKS_THE_API}) set -- "$@" --api {api or "127.0.0.1:9"};; esac\n'
        f'exec {forked_peyvand()} "$@"',
    )


def _environment(folder: Path, **more: str) -> dict[str, str]:
    """Return the environment of a block: our code, and the programs of the folder's bin before others."""
    ours = os.pathsep.join([str(ROOT), str(ROOT / "proto")])
    return {
        **os.environ,
        "PYTHONPATH": ours,
        "PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "NO_COLOR": "1",
        "TERM": "dumb",
        "COLUMNS": "160",
        **more,
    }


def run_block(text: str, folder: Path, **more: str) -> str:
    """Run a block in a folder and return what it printed. AssertionError with all of it if a command fails."""
    ended = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", text],
        cwd=folder,
        env=_environment(folder, **more),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
    assert ended.returncode == 0, f"{text}\n{ended.stdout}\n{ended.stderr}"
    return ended.stdout


@contextmanager
def started_block(text: str, folder: Path, **more: str) -> Iterator[subprocess.Popen[str]]:
    """Run a block, and kill it at the end with all that it started."""
    process = subprocess.Popen(
        ["bash", "-euo", "pipefail", "-c", text],
        cwd=folder,
        env=_environment(folder, **more),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
