"""Measure how long ``peyvand`` takes to start, as a multiple of a bare interpreter."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from statistics import median
from time import perf_counter

__all__ = ["start"]

_ROUNDS = 9
_COMMANDS: dict[str, tuple[list[str], float]] = {
    "peyvand --version": (["--version"], 12.0),
    "peyvand --help": (["--help"], 12.0),
    "peyvand indicator --help": (["indicator", "--help"], 20.0),
    "peyvand score --help": (["score", "--help"], 20.0),
    "peyvand register --help": (["register", "--help"], 20.0),
}
"""Command lines, and how many times a bare interpreter's startup each may take."""


def start() -> Iterator[str]:
    """Yield a line per command. Runs take turns with bare interpreters, so that both see the same load."""
    bare: list[float] = []
    times: dict[str, list[float]] = {name: [] for name in _COMMANDS}
    for _ in range(_ROUNDS):
        bare.append(_seconds("-c", "pass"))
        for name, (words, _) in _COMMANDS.items():
            times[name].append(_seconds("-m", "services.cli", *words))
    yield f"start, median of {_ROUNDS}: a bare interpreter takes {1000 * median(bare):.0f} ms"
    for name, (_, limit) in _COMMANDS.items():
        seconds = median(times[name])
        yield f"  {name:<26}{1000 * seconds:6.0f} ms  {seconds / median(bare):5.1f} times (at most {limit:g})"


def _seconds(*arguments: str) -> float:
    begun = perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
    return perf_counter() - begun
