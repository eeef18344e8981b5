"""What is derived of closed days, in files that are nobody's: mapped, so that the kernel may drop what is not looked at."""

from __future__ import annotations

import mmap
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.core.errors import StateError

__all__ = ["MappedArrays"]

ALIGNMENT = 64
SMALL = 1 << 18
"""Below this many bytes memory is cheaper than a file: of 10⁴ links all of 90 days takes some 20 MB."""


class MappedArrays:
    """Keeps arrays in files without a name in a folder; they are gone with the last array, or the process, whichever ends.

    So a crash leaves nothing behind, and nothing derived is ever read back: it is derived again (ADR 20).
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def keep(self, arrays: Sequence[NDArray[Any]]) -> Sequence[NDArray[Any]]:
        """Return the same arrays, read-only, from a file of their own. Raises StateError when it cannot be written."""
        if sum(array.nbytes for array in arrays) < SMALL:
            return arrays
        offsets = []
        try:
            with TemporaryFile(dir=self._folder, prefix="derived-") as file:
                for array in arrays:
                    offsets.append(file.seek(-file.tell() % ALIGNMENT, 1))
                    file.write(np.ascontiguousarray(array).data)
                file.flush()
                # Read through the mapping only: a full disk is then an error of the write, never a signal.
                mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except OSError as error:
            raise StateError(
                f"the scorer cannot keep what it derives of closed days in {self._folder}: {error.strerror}; make room "
                "there and start again"
            ) from error
        return [
            np.frombuffer(mapped, array.dtype, array.size, offset).reshape(array.shape) if array.size else array
            for array, offset in zip(arrays, offsets, strict=True)
        ]
