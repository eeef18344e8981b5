"""Pass measured points of how cost grows from the benchmarks to the file in docs/performance that keeps them.

A benchmark yields a point as one of its lines, so that it also passes through the output of another process.
"""

from __future__ import annotations

import csv
import os
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Final

from tests.support.paths import ROOT

__all__ = ["FOLDER", "LIMIT", "Point", "is_point", "kept", "point", "with_points"]

FOLDER: Final = ROOT / "docs" / "performance"
_FILE: Final = "growth.csv"
_MARK: Final = "@point"

LIMIT: Final = 0
"""The size of a point for a limit of the machine, which has none."""


@dataclass(frozen=True, slots=True, order=True)
class Point:
    """The value of one figure at one size (a number of links), with machine, date and load average."""

    figure: str
    size: int
    value: float
    machine: str = ""
    date: str = ""
    load: float = 0.0


def point(figure: str, size: int, value: float) -> str:
    """Return the line of a benchmark's output that holds a point."""
    return f"{_MARK} {figure} {size} {value:.6g}"


def is_point(line: str) -> bool:
    """Return whether a line of output holds a point."""
    return line.startswith(_MARK)


def with_points(lines: Iterable[str], *, folder: Path | None) -> Iterator[str]:
    """Yield the lines for people. Keep the points in a folder, each in place of an older one. None keeps none."""
    found: list[Point] = []
    for line in lines:
        if not is_point(line):
            yield line
        elif folder is not None:
            _, figure, size, value = line.split()
            found.append(
                Point(figure, int(size), float(value), _machine(), time.strftime("%F"), round(os.getloadavg()[0], 1))
            )
            _keep(found, folder)  # at once: a benchmark of hours may be stopped


def kept(folder: Path = FOLDER) -> Mapping[str, Mapping[int, Point]]:
    """Return the points that are kept, by figure and size in order."""
    if not (folder / _FILE).exists():
        return {}
    with (folder / _FILE).open(newline="") as file:
        points = [
            Point(row["figure"], int(row["size"]), float(row["value"]), row["machine"], row["date"], float(row["load"]))
            for row in csv.DictReader(file)
        ]
    by_figure: dict[str, dict[int, Point]] = {}
    for one in sorted(points):
        by_figure.setdefault(one.figure, {})[one.size] = one
    return by_figure


def _keep(found: Iterable[Point], folder: Path) -> None:
    by_place = {(one.figure, one.size): one for points in kept(folder).values() for one in points.values()}
    by_place |= {(one.figure, one.size): one for one in found}
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / _FILE).open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(field.name for field in fields(Point))
        writer.writerows(astuple(one) for one in sorted(by_place.values()))


def _machine() -> str:
    cpu = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text("utf-8"), re.MULTILINE)
    return f"{len(os.sched_getaffinity(0))} × {cpu[1] if cpu else 'unknown'}"
