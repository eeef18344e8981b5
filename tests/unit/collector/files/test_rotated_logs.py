"""Logs that are truncated, renamed, removed and copied while they are read."""

from __future__ import annotations

import gzip
import os
import shutil

import pytest

from tests.support.cases.sources.tailing import NOW, following, is_open, line

__all__ = ["following", "line"]  # fixtures


async def test_a_log_that_begins_again_is_read_again(following, tmp_path, line):
    """A log that is truncated, or replaced under its name, is read from its beginning; renamed logs count once."""
    log = tmp_path / "logs" / "a.log"
    async with following() as followed:
        log.write_bytes(line(1) + line(2) + line(3))
        assert (await followed.look(2))[0] == 3
        log.write_bytes(line(1) + line(5))
        assert (await followed.look(2))[0] == 4
        log.write_bytes(b"".join(map(line, range(10, 20))))
        assert (await followed.look(2))[0] == 14
        log.rename(log.with_name("b.log"))
        log.write_bytes(line(30))
        assert (await followed.look(2))[0] == 15


async def test_what_was_written_before_a_log_was_renamed_is_read(following, tmp_path, line):
    """A renamed log is read on under its old name, to the last line of a writer that continues, beside its replacement.
    It is closed when it is removed.
    """
    log, away = tmp_path / "logs" / "ops.log", tmp_path / "logs" / "ops.1"
    log.write_bytes(line(1))
    async with following("logs/ops.log") as followed:
        assert await followed.look() == (1, 0)
        with log.open("ab") as writer:
            writer.write(line(2) + line(3)[:40])
            writer.flush()
            log.rename(away)
            assert await followed.look(3) == (2, 0)
            log.write_bytes(line(4))
            assert await followed.look(3) == (3, 0)
            writer.write(line(3)[40:] + line(5)[:-1])
        assert await followed.look(3) == (5, 0)
        assert is_open(log.parent) == ["ops.1", "ops.log"]
        (log.parent / "ops.1.gz").write_bytes(gzip.compress(away.read_bytes()))
        away.unlink()
        assert await followed.look() == (5, 0)
        assert is_open(log.parent) == ["ops.log"]
        assert followed.sample("peyvand_exchange_rejected_total") == 0
        assert followed.failures() == []


async def test_a_log_that_is_removed_is_read_to_its_end(following, tmp_path, line):
    """The last lines of a log that was replaced or removed are read, and its file is closed."""
    log, other = tmp_path / "logs" / "a.log", tmp_path / "logs" / "other"
    log.write_bytes(line(1))
    async with following() as followed:
        assert await followed.look(2) == (1, 0)
        with log.open("ab") as out:
            out.write(line(2) + line(3)[:-1])
        other.write_bytes(line(4))
        other.replace(log)
        assert await followed.look() == (3, 0)
        assert await followed.look() == (4, 0)
        assert is_open(log.parent) == ["a.log"]
        log.unlink()
        assert await followed.look(2) == (4, 0)
        assert is_open(log.parent) == []


@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize("copies", [False, True])
async def test_a_pattern_finds_rotated_logs_after_a_restart(following, tmp_path, line, copies, restart):
    """If the path covers rotated logs, nothing is lost while the collector is stopped, or when a log is copied and
    truncated. Nothing counts twice when a log is compressed afterwards.
    """
    log, away = tmp_path / "logs" / "ops.ndjson", tmp_path / "logs" / "ops.ndjson.1"

    def rotate():
        with log.open("ab") as out:
            out.write(line(2))
        if copies:
            shutil.copy(log, away)
            log.write_bytes(b"")
        else:
            log.rename(away)
        with log.open("ab") as out:
            out.write(line(3))

    log.write_bytes(line(1))
    async with following("logs/ops.ndjson*") as followed:
        assert await followed.look() == (1, 0)
        if not restart:
            rotate()
            assert (await followed.look(2))[0] == 3
    if restart:
        rotate()
    async with following("logs/ops.ndjson*") as followed:
        assert (await followed.look(2))[0] == 3
        (log.parent / "ops.ndjson.1.gz").write_bytes(gzip.compress(away.read_bytes()))
        away.unlink()
        assert (await followed.look(3))[0] == 3
        assert is_open(log.parent) == ["ops.ndjson", "ops.ndjson.1.gz"]


async def test_a_folder_that_cannot_be_listed_is_reported_once(following, tmp_path, line):
    """A missing folder, or a file in its place, is a failure until that changes. Nothing counts as read then.
    Nothing counts as read while a folder is empty either, but that is no failure.
    """
    folder = tmp_path / "new"
    for path in ("new/a.log", "new/*.log"):
        reason = f"{folder}: the folder cannot be looked into: "
        async with following(path) as followed:
            await followed.look(3)
            assert followed.failures() == [f"{reason}No such file or directory"]
            assert followed.sample("peyvand_exchange_source_failures_total", source="logs", failure="unreadable") == 1
            folder.write_bytes(b"")
            await followed.look(3)
            assert followed.failures()[1:] == [f"{reason}Not a directory"]
            assert followed.sample("peyvand_exchange_source_up", source="logs") == 0
            folder.unlink()
            folder.mkdir()
            await followed.look(3)
            assert len([told for told in followed.lines if told["event"] == "no_file_found"]) == 1
            assert followed.sample("peyvand_exchange_source_up", source="logs") == 1
            assert followed.position() is None
            (folder / "a.log").write_bytes(line(1))
            await followed.look()
            assert followed.position() == NOW / 1000
            shutil.rmtree(folder)
            await followed.look()
            assert followed.sample("peyvand_exchange_source_up", source="logs") == 0


@pytest.mark.skipif(os.geteuid() == 0, reason="root may look into every folder")
async def test_a_folder_without_permission_is_a_failure(following, tmp_path, line):
    """A folder that may no longer be listed or entered is a failure and not an empty folder."""
    folder = tmp_path / "logs"
    (folder / "a.log").write_bytes(line(1))
    async with following() as followed:
        await followed.look()
        for mode in (0o600, 0o300):
            folder.chmod(mode)
            await followed.look()
            assert followed.failures()[-1] == f"{folder}: the folder cannot be looked into: Permission denied"
            assert followed.sample("peyvand_exchange_source_up", source="logs") == 0
            folder.chmod(0o700)
            await followed.look()
            assert followed.sample("peyvand_exchange_source_up", source="logs") == 1
