"""Stores closed days as files of compressed stages, memory-mapped so that the kernel can evict cold pages."""

from __future__ import annotations

import mmap
import struct
from datetime import date
from pathlib import Path
from typing import Final

from services.core.files import replace, sealed
from services.indicator.cells import DayState
from services.scorer.state.damage import read_file

PATTERN: Final = "*.stages"
_SHAPE: Final = struct.Struct("<3Q")


def path_of(folder: Path, day: date) -> Path:
    """Return the path of a day's file."""
    return folder / f"{day.isoformat()}.stages"


def found(folder: Path) -> frozenset[date]:
    """Return the days that have a file. Raises OSError."""
    return frozenset(date.fromisoformat(path.stem) for path in folder.glob(PATTERN))


def write(folder: Path, state: DayState) -> None:
    """Write a day's file: its shape, then its stages. Raises OSError."""
    replace(path_of(folder, state.day), sealed(_SHAPE.pack(*state.shape) + state.stages))


def map_day(folder: Path, day: date) -> DayState:
    """Return the day in a file, with its stages as a view of the file. Files are replaced, never changed.

    The file is checked before it is mapped: a sector that cannot be read ends a process that reads it through a map.
    Raises DamagedFileError and OSError.
    """
    path = path_of(folder, day)
    shape, end = read_file(path, _shape_and_end)
    with path.open("rb") as file:
        content = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    return DayState(day, shape, content[_SHAPE.size : end])


def _shape_and_end(content: memoryview) -> tuple[tuple[int, int, int], int]:
    if len(content) < _SHAPE.size:
        raise ValueError("a file without a shape")
    vantages, targets, slots = _SHAPE.unpack(content[: _SHAPE.size])
    return (vantages, targets, slots), len(content)
