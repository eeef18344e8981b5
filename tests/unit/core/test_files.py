"""Files that survive crashes and damage."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from services.core import files
from tests.support.limits.small_disk import no_file_beyond


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


def test_a_secret_that_cannot_be_written_can_be_written_later(tmp_path: Path) -> None:
    """A secret exists whole or not at all: when the disk is full nothing is left, and a secret is never written over."""
    path = tmp_path / "secret"
    with no_file_beyond(3), pytest.raises(OSError, match="File too large"):
        files.write_secret(path, b"secret")
    assert list(tmp_path.iterdir()) == []
    files.write_secret(path, b"secret")
    with pytest.raises(FileExistsError):
        files.write_secret(path, b"another")
    assert [(found, found.read_bytes()) for found in tmp_path.iterdir()] == [(path, b"secret")]
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_secret_is_on_disk_before_it_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A power cut never leaves an empty secret: its content is synced before its name is, and its name at the end."""
    path, sync, synced = tmp_path / "secret", os.fsync, list[tuple[bool, int, bool]]()

    def fsync(descriptor: int) -> None:
        status = os.fstat(descriptor)
        synced.append(
            (stat.S_ISDIR(status.st_mode), 0 if stat.S_ISDIR(status.st_mode) else status.st_size, path.exists())
        )
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    files.write_secret(path, b"secret")
    assert synced == [(False, 6, False), (True, 0, True)]


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
