"""Slots in detail as files of cells. A start reads the newest ones; the others are loaded when they are needed."""

from __future__ import annotations

import io
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from services.core.errors import StateError
from services.indicator.cells import LoadCells, SlotState
from services.scorer.state.damage import damaged


def path_of(folder: Path, slot: int) -> Path:
    """Return the path of a slot's file."""
    return folder / f"{slot}.npy"


def content(cells: NDArray[np.int64]) -> bytes:
    """Return the content of a slot's file."""
    buffer = io.BytesIO()
    np.save(buffer, cells, allow_pickle=False)
    return buffer.getvalue()


def loader(folder: Path, slot: int) -> LoadCells:
    """Return the function that reads a slot's file. It raises StateError when the file cannot be used."""
    path = path_of(folder, slot)

    def load() -> NDArray[np.int64]:
        try:
            cells: NDArray[np.int64] = np.load(path, allow_pickle=False)
        except (ValueError, EOFError) as error:
            raise damaged(path) from error
        except OSError as error:
            raise StateError(f"the scorer's state file {path} cannot be read: {error.strerror}; see --data") from error
        return cells

    return load


def read_saved(folder: Path, *, room: int) -> tuple[list[SlotState], dict[int, LoadCells]]:
    """Return the slots that have a file: the newest with their cells, up to ``room`` bytes, and the loaders of the others.

    Raises StateError when a file cannot be used. Of a file that is not read, header and length are checked.
    """
    states, loaders = [], {}
    for path in sorted(folder.glob("*.npy"), key=lambda path: int(path.stem), reverse=True):
        room -= path.stat().st_size
        slot = int(path.stem)
        load = loader(folder, slot)
        if room >= 0:
            states.append(SlotState(slot, load()))
        else:
            with path.open("rb") as file:
                _check(file, path)
            loaders[slot] = load
    return states, loaders


def _check(file: BinaryIO, path: Path) -> None:
    try:
        np.lib.format.read_magic(file)
        shape, _, kind = np.lib.format.read_array_header_1_0(file)
    except ValueError as error:
        raise damaged(path) from error
    if kind != np.int64 or file.tell() + int(np.prod(shape)) * kind.itemsize != path.stat().st_size:
        raise damaged(path)
