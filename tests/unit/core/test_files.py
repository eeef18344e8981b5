"""Files that survive crashes and damage."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.core import files


def test_a_seal_shows_every_changed_bit() -> None:
    """Sealed content is read back. With any bit changed, or cut anywhere, emptied or extended, it is damaged."""
    data = files.sealed(b"evidence")
    assert bytes(files.unsealed(data)) == b"evidence"
    assert bytes(files.unsealed(files.sealed(b""))) == b""
    changed = [bytes([*data[:at], data[at] ^ 1 << bit, *data[at + 1 :]]) for at in range(len(data)) for bit in range(8)]
    for damaged in (*changed, *(data[:end] for end in range(len(data))), bytes(len(data)), data + b"\0"):
        with pytest.raises(ValueError, match="checksum"):
            files.unsealed(damaged)


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    """A file that cannot be replaced stays as it was, and nothing is left beside it."""
    path = tmp_path / "file"
    files.replace(path, b"old")
    with pytest.raises(TypeError):
        files.replace(path, "new")  # type: ignore[arg-type]
    files.clear_parts(tmp_path)
    assert [(found.name, found.read_bytes()) for found in tmp_path.iterdir()] == [("file", b"old")]


def test_a_lock_has_one_holder(tmp_path: Path) -> None:
    """A locked file cannot be locked again until it is closed, and keeps its content."""
    path = tmp_path / "lock"
    with files.lock(path) as held:
        held.write(b"holder")
        held.flush()
        with pytest.raises(BlockingIOError):
            files.lock(path)
    with files.lock(path):
        assert path.read_bytes() == b"holder"
