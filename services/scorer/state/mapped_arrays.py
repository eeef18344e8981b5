"""Spills derived arrays to unlinked temporary files, memory-mapped so that the kernel can evict cold pages."""

from __future__ import annotations

import mmap
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.core.errors import StateError

ALIGNMENT = 64
SMALL = 1 << 18
"""Arrays of fewer bytes stay in memory, which is cheaper than a file. With 10⁴ links, 90 days take some 20 MB."""


def keep_mapped(folder: Path, arrays: Sequence[NDArray[Any]]) -> Sequence[NDArray[Any]]:
    """Return the same arrays, read-only, mapped from an unlinked file in a folder.

    The file disappears with its last array, or with the process. So a crash leaves nothing behind. Derived arrays are
    never read back: they are derived again (ADR 20). Raises StateError when the file cannot be written.
    """
    if sum(array.nbytes for array in arrays) < SMALL:
        return arrays
    offsets = []
    try:
        with TemporaryFile(dir=folder, prefix="derived-") as file:
            for array in arrays:
                offsets.append(file.seek(-file.tell() % ALIGNMENT, 1))
                file.write(np.ascontiguousarray(array).data)
            file.flush()
            # The mapping is only read, so that a full disk is an error of the write, never a signal.
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except OSError as error:
        raise StateError(
            f"the scorer cannot keep what it derives of closed days in {folder}: {error.strerror}; make room "
            "there and start again"
        ) from error
    return [
        np.frombuffer(mapped, array.dtype, array.size, offset).reshape(array.shape) if array.size else array
        for array, offset in zip(arrays, offsets, strict=True)
    ]
