"""Files that stay open between two looks."""

from __future__ import annotations

import errno
import os

from services.collector.files.open_files import OpenFiles


def test_the_files_written_last_stay_open(tmp_path):
    """The files written last stay open, up to the limit, whether they match the pattern or are gone."""
    for number in range(6):
        (tmp_path / f"{number}.log").write_text("x")
        os.utime(tmp_path / f"{number}.log", (number, number))
    held = OpenFiles(tmp_path / "*.log", most=3)
    assert [path.name for path, _ in held.look()] == [f"{number}.log" for number in range(6)]
    held.release(())
    for number in range(6):
        (tmp_path / f"{number}.log").rename(tmp_path / f"{number}.old")
    assert [path.name for path, _ in held.look()] == ["3.log", "4.log", "5.log"]
    (tmp_path / "6.log").write_text("x")
    assert [path.name for path, _ in held.look()] == ["6.log", "3.log", "4.log", "5.log"]
    held.release(())
    assert [path.name for path, _ in held.look()] == ["6.log", "4.log", "5.log"]
    held.close()
    assert [path.name for path, _ in held.look()] == ["6.log"]
    held.close()


def test_a_file_that_is_gone_is_read_through_its_descriptor(tmp_path):
    """A file is found at its path, and after it is gone at its last path; a file without any name is marked as
    removed.
    """
    log = tmp_path / "a.log"
    log.write_bytes(b"first\n")
    held = OpenFiles(tmp_path / "*.log")
    [(path, file)] = held.look()
    log.rename(tmp_path / "b.log")
    assert list(held.look()) == [(tmp_path / "b.log", file)]
    log.write_bytes(b"another\n")
    (tmp_path / "b.log").rename(tmp_path / "c")
    [*_, ((path, last), sight)] = held.look().items()
    assert (path.name, last, sight.gone, sight.removed) == ("b.log", file, True, False)
    [batch] = sight.log.batches()
    assert [reject.length for reject in batch.rejects] == [5]
    (tmp_path / "c").unlink()
    [*_, sight] = held.look().values()
    assert sight.removed
    held.release([(path, file)])
    assert next(iter(held.look()))[0] == log
    assert len(held.look()) == 1
    held.close()


def test_a_file_that_the_system_has_lost_is_closed(tmp_path, monkeypatch):
    """A file with a stale handle is closed and no longer found. The others are found, and nothing is raised."""
    for name in ("a.log", "b.log"):
        (tmp_path / name).write_text("x")
    held = OpenFiles(tmp_path / "*.log")
    held.look()
    (tmp_path / "a.log").rename(tmp_path / "a.old")
    fstat, lost = os.fstat, (tmp_path / "a.old").stat().st_ino

    def stale(number):
        if fstat(number).st_ino == lost:
            raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))
        return fstat(number)

    monkeypatch.setattr(os, "fstat", stale)
    assert [path.name for path, _ in held.look()] == ["b.log"]
    assert [path.name for path, _ in held.look()] == ["b.log"]
    (tmp_path / "a.old").rename(tmp_path / "a.log")  # it is opened, but its state cannot be read
    assert [path.name for path, _ in held.look()] == ["a.log", "b.log"]
    held.release(())
    held.close()
