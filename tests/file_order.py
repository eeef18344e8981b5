"""The order in which test files run."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from tests.support.paths import ROOT

__all__ = ["spread"]

_WAITING = frozenset({"conformance", "integration", "security"})
"""Folders of tests that mostly wait."""

_WAITING_ENDS = 0.9
"""The share of the files after which none of tests that wait is left, because these take longer."""


def spread(files: Iterable[Path]) -> list[Path]:
    """Return test files with those that wait evenly spread among those that compute; each kind stays in its order.

    Side by side they use the machine. One kind after the other would leave it idle first and crowd it afterwards.
    """
    kinds: dict[bool, list[Path]] = {True: [], False: []}
    for file in files:
        kinds[_waits(file)].append(file)
    placed = [
        ((number + 0.5) / len(some) * (_WAITING_ENDS if waits else 1.0), file)
        for waits, some in kinds.items()
        for number, file in enumerate(some)
    ]
    return [file for _, file in sorted(placed, key=lambda one: one[0])]


def _waits(file: Path) -> bool:
    tests = ROOT / "tests"
    return file.is_relative_to(tests) and file.relative_to(tests).parts[0] in _WAITING
