"""Files that somebody else names are read within bounds."""

from __future__ import annotations

import tracemalloc
from errno import EFBIG
from pathlib import Path

import pytest

from services.core.bounded_files import read_bounded


@pytest.mark.parametrize("size", [0, 1, 1 << 20, (1 << 20) + 1, 3 << 20])
def test_a_file_of_the_limit_is_read_and_a_larger_one_refused(tmp_path: Path, size: int) -> None:
    path = tmp_path / "file"
    path.write_bytes(content := bytes(range(256)) * (size // 256) + b"x" * (size % 256))
    assert read_bounded(path, folders=[tmp_path], limit=size) == content
    path.write_bytes(content + b"y")
    with pytest.raises(OSError, match="larger than") as refused:
        read_bounded(path, folders=[tmp_path], limit=size)
    assert refused.value.errno == EFBIG


def test_a_small_file_takes_little_memory_whatever_the_limit(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x")
    tracemalloc.start()
    try:
        read_bounded(path, folders=[tmp_path], limit=1 << 30)
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()
