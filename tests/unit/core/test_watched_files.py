"""Values read from files, and read again when the files change."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from services.core.watched_files import WatchedFiles
from tests.support.waiting import DEADLINE


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def aged(path: Path) -> None:
    """Make a file look as if it had been written long ago."""
    os.utime(path, (1_000_000_000, 1_000_000_000))


def test_a_file_is_read_again_only_when_it_has_changed(tmp_path: Path) -> None:
    """Equal inode, size and time mean equal content."""
    path, reads = tmp_path / "file", []

    def read() -> str:
        reads.append(path.read_text())
        return reads[-1]

    path.write_text("one")
    aged(path)
    watched = WatchedFiles((path,), read)
    assert [watched.get(), watched.get()] == ["one", "one"]
    assert len(reads) == 1
    path.write_text("two!")
    aged(path)
    assert [watched.get(), watched.get()] == ["two!", "two!"]
    assert len(reads) == 2


def test_a_file_written_twice_in_a_moment_is_read_twice(tmp_path: Path) -> None:
    """Contents of one size, written within one tick of the file system's clock, have the same stamp."""
    path = tmp_path / "file"
    written = time.time_ns() + int(DEADLINE * 1e9)  # young, however slow the machine is
    path.write_text("one")
    os.utime(path, ns=(written, written))
    watched = WatchedFiles((path,), path.read_text)
    assert watched.get() == "one"
    path.write_text("two")
    os.utime(path, ns=(written, written))
    assert watched.get() == "two"


def test_a_change_is_noticed_within_the_interval(tmp_path: Path) -> None:
    """Within the interval the disk is not checked."""
    path, clock = tmp_path / "file", Clock()
    path.write_text("one")
    watched = WatchedFiles((path,), path.read_text, interval=10.0, clock=clock)
    assert watched.get() == "one"
    path.unlink()
    clock.now = 9.9
    assert watched.get() == "one"
    clock.now = 10.0
    with pytest.raises(FileNotFoundError):
        watched.get()


def test_what_could_not_be_read_is_tried_again(tmp_path: Path) -> None:
    """Unusable content raises an error until there is usable content."""
    path = tmp_path / "file"
    path.write_text("1")
    aged(path)
    watched = WatchedFiles((path,), lambda: int(path.read_text()))
    assert watched.get() == 1
    path.write_text("none")
    for _ in range(2):
        with pytest.raises(ValueError, match="none"):
            watched.get()
    path.write_text("22")
    assert watched.get() == 22


def test_what_was_read_last_stays_while_a_change_is_unusable(tmp_path: Path) -> None:
    """With a callback, each reason is reported once until a file is usable, and the value stays. Without any value it raises."""
    path, clock, told = tmp_path / "file", Clock(), list[Exception]()
    watched = WatchedFiles((path,), lambda: int(path.read_text()), interval=10.0, clock=clock, failed=told.append)
    with pytest.raises(FileNotFoundError):
        watched.get()
    path.write_text("1")
    assert watched.get() == 1
    path.write_text("none")

    def checked() -> int:
        clock.now += 10.0
        return watched.get()

    assert [checked() for _ in range(3)] == [1, 1, 1]
    assert len(told) == 1
    path.unlink()
    assert [checked() for _ in range(3)] == [1, 1, 1]
    path.write_text("22")
    assert checked() == 22
    path.unlink()
    assert checked() == 22
    assert [type(error) for error in told] == [ValueError, FileNotFoundError, FileNotFoundError]


def test_a_reason_without_words_is_reported(tmp_path: Path) -> None:
    """An error that has no text is told like any other, once."""
    path, clock, told = tmp_path / "file", Clock(), list[Exception]()

    def read() -> str:
        if (text := path.read_text()) != "good":
            raise EOFError
        return text

    watched = WatchedFiles((path,), read, clock=clock, failed=told.append)
    path.write_text("good")
    assert watched.get() == "good"
    path.write_text("bad")
    assert [watched.get() for _ in range(3)] == ["good"] * 3
    assert [type(error) for error in told] == [EOFError]
