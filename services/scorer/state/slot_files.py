"""Stores slots in detail as files of cells.

A restart reads the newest ones. The others are loaded when they are needed.
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from services.core.files import replace, sealed
from services.indicator.cells import LoadCells
from services.scorer.state.damage import in_use, read_file

PATTERN = "*.cells"


def path_of(folder: Path, slot: int) -> Path:
    """Return the path of a slot's file."""
    return folder / f"{slot}.cells"


def found(folder: Path) -> frozenset[int]:
    """Return the slots that have a file. Raises OSError."""
    return frozenset(int(path.stem) for path in folder.glob(PATTERN))


def write(folder: Path, slot: int, cells: NDArray[np.int64]) -> None:
    """Write a slot's file. Raises OSError."""
    buffer = io.BytesIO()
    np.save(buffer, cells, allow_pickle=False)
    replace(path_of(folder, slot), sealed(buffer.getvalue()))


def read(folder: Path, slot: int) -> NDArray[np.int64]:
    """Return the cells in a slot's file. Raises DamagedFileError and OSError."""
    return read_file(path_of(folder, slot), _cells)


def loader(folder: Path, slot: int) -> LoadCells:
    """Return a function that reads a slot's file. It raises StateError when the file cannot be used."""

    def load() -> NDArray[np.int64]:
        with in_use(path_of(folder, slot)):
            return read(folder, slot)

    return load


def _cells(content: memoryview) -> NDArray[np.int64]:
    cells: NDArray[np.int64] = np.load(io.BytesIO(content), allow_pickle=False)
    return cells
