"""Arrays derived from closed days are mapped from unlinked files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from services.core.errors import StateError
from services.scorer.state.mapped_arrays import SMALL, keep_mapped


def test_mapped_arrays_are_equal_and_leave_no_file(tmp_path: Path) -> None:
    """Arrays of all kinds and shapes, even empty ones, come back equal and read-only. No file is left."""
    arrays: list[NDArray[Any]] = [
        np.arange(SMALL, dtype=np.uint16).reshape(16, -1),
        np.zeros((6, 0), dtype=np.uint8),
        np.arange(7, dtype=np.uint8),
        np.arange(SMALL, dtype=np.uint32)[::-3],
        np.zeros(0, dtype=np.uint16),
    ]
    kept = keep_mapped(tmp_path, arrays)
    for one, other in zip(arrays, kept, strict=True):
        assert (one.dtype, one.shape) == (other.dtype, other.shape)
        assert (one == other).all()
        assert not other.size or not other.flags.writeable
    assert not list(tmp_path.iterdir())


def test_small_arrays_stay_in_memory(tmp_path: Path) -> None:
    """Small arrays are not worth a file, so the same objects come back."""
    arrays = [np.arange(10, dtype=np.uint16)]
    assert keep_mapped(tmp_path, arrays) is arrays


def test_a_folder_that_is_gone_is_a_state_error(tmp_path: Path) -> None:
    """A failed write is reported in one sentence that names the folder."""
    with pytest.raises(
        StateError, match=f"closed days in {tmp_path / 'gone'}: No such file or directory; make room there"
    ):
        keep_mapped(tmp_path / "gone", [np.zeros(SMALL, dtype=np.uint8)])
