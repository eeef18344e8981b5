"""Growing log files are read line by line, each line once, across restarts, and every failure is reported."""

from __future__ import annotations

import errno
import gzip
import json
import os
import stat

import pytest

from services.collector.files.log_file import LogFile
from tests.support.cases.sources.tailing import NOW, following, line

__all__ = ["following", "line"]  # fixtures


async def test_a_log_is_read_as_it_grows(following, tmp_path, line):
    """Complete lines are read at once and the rest of a line once it comes. Nothing is read twice over restarts."""
    log = tmp_path / "logs" / "a.log"
    async with following() as followed:
        assert await followed.look() == (0, 0)
        log.write_bytes(line(1) + line(2) + line(3)[:50])
        assert await followed.look() == (2, 0)
        log.write_bytes(line(1) + line(2) + line(3) + line(4))
        assert await followed.look() == (4, 0)
        assert await followed.look(3) == (4, 0)
        assert followed.sample("peyvand_exchange_records_total") == 4
    log.write_bytes(b"".join(map(line, range(1, 7))))
    async with following() as followed:
        assert await followed.look(2) == (6, 0)
        assert followed.sample("peyvand_exchange_records_total") == 2


async def test_a_quiet_log_is_read_up_to_now(following, tmp_path, raw):
    """A log without new lines counts as read up to now, while its newest exchange ages.
    A line of tomorrow is not newer than now.
    """
    log = tmp_path / "logs" / "a.log"
    log.touch()

    def state():
        names = ("position", "newest")
        return [followed.sample(f"peyvand_exchange_{name}_timestamp_seconds", source="logs") for name in names]

    async with following() as followed:
        assert await followed.look() == (0, 0)
        assert state() == [NOW / 1000, NOW / 1000]
        followed.now += 1_000_000
        log.write_text(json.dumps(raw(requestInTs=NOW + 400_000, responseOutTs=NOW + 400_020)) + "\n")
        assert await followed.look() == (1, 0)
        followed.now += 1_000_000
        await followed.look()
        assert state() == [NOW / 1000 + 2000, NOW / 1000 + 400]
        with log.open("a") as out:
            out.write(
                json.dumps(raw(requestInTs=NOW + 8 * 10**7, responseOutTs=NOW + 8 * 10**7, xRequestId="x-2")) + "\n"
            )
        assert await followed.look() == (2, 0)
        assert state() == [NOW / 1000 + 2000, NOW / 1000 + 2000]


@pytest.mark.parametrize("removed", [False, True])
async def test_a_log_waits_for_a_clock_that_is_behind(following, tmp_path, line, removed):
    """While the clock is days behind, a log is a source that fails. It is read once the clock is right, and nothing of
    it is lost, even if it was removed meanwhile.
    """
    log = tmp_path / "logs" / "a.log"
    log.write_bytes(line(1) + line(2))
    async with following() as followed:
        followed.now -= 3 * 86_400_000
        assert await followed.look() == (0, 0)
        if removed:
            log.unlink()
        assert await followed.look(4) == (0, 0)
        assert followed.failures() == [
            f"{log}: most records are more than a day ahead of the clock of this host: set the clock that is wrong"
        ]
        assert followed.sample("peyvand_exchange_source_up", source="logs") == 0
        followed.now = NOW
        assert await followed.look(2) == (2, 0)
        assert followed.sample("peyvand_exchange_expired_total") == 0
        assert followed.sample("peyvand_exchange_source_up", source="logs") == 1


async def test_a_log_whose_own_clock_was_ahead_is_read_on(following, tmp_path, line, raw):
    """Records of a server's clock that was ahead expire once a record follows that is not ahead, which is counted."""
    log = tmp_path / "logs" / "a.log"
    ahead = [raw(NOW + 400 * 86_400_000, xRequestId=f"ahead-{number}") for number in range(3)]
    log.write_text("".join(json.dumps(record) + "\n" for record in ahead))
    async with following() as followed:
        assert await followed.look(2) == (0, 0)
        assert followed.sample("peyvand_exchange_source_up", source="logs") == 0
        with log.open("ab") as out:
            out.write(line(1))
        assert await followed.look(2) == (1, 0)
        assert followed.sample("peyvand_exchange_expired_total") == 3
        assert followed.sample("peyvand_exchange_source_up", source="logs") == 1


async def test_the_last_line_needs_no_end(following, tmp_path, line):
    """A last line without a line end is read once the file has settled. A line end that comes later changes nothing."""
    log = tmp_path / "logs" / "a.log"
    log.write_bytes(line(1) + line(2)[:-1])
    async with following() as followed:
        assert await followed.look(4) == (2, 0)
        log.write_bytes(line(1) + line(2) + line(3))
        assert await followed.look(4) == (3, 0)
        assert followed.sample("peyvand_exchange_rejected_total") == 0
        assert followed.waiting() == []


@pytest.mark.parametrize("before", [0, 1])
@pytest.mark.parametrize("end", [b"", b"\n"])
async def test_half_a_line_waits_for_the_rest(following, tmp_path, line, before, end):
    """Half a line from a buffered writer waits, also over a restart, and is logged once. Nothing of it is lost."""
    log = tmp_path / "logs" / "a.log"
    whole, half = b"".join(map(line, range(before))), line(8)
    async with following() as followed:
        for cut in (1, 40, 60):
            log.write_bytes(whole + half[:cut])
            assert await followed.look(3) == (before, 0)
        assert [told["line"] for told in followed.waiting()] == [before + 1]
        assert "x-8" not in str(followed.waiting())
    async with following() as followed:
        await followed.look(3)
        log.write_bytes(whole + half + line(9).rstrip() + end)
        assert await followed.look(3) == (before + 2, 0)
        assert followed.sample("peyvand_exchange_rejected_total") == 0
        assert followed.sample("peyvand_exchange_records_total") == 2


async def test_half_a_line_that_ends_as_none_is_rejected_once(following, tmp_path, line):
    """A line that ends and is not a record is rejected, and the lines after it are read.
    Half a row of a table waits too.
    """
    log, table = tmp_path / "logs" / "a.log", tmp_path / "logs" / "b.log"
    log.write_bytes(line(1) + line(2)[:40])
    record = json.loads(line(3))
    row = ",".join(map(str, record.values()))
    table.write_text(f"{','.join(record)}\n{row[:70]}")
    async with following() as followed:
        assert await followed.look(3) == (1, 0)
        assert len(followed.waiting()) == 2
        assert followed.sample("peyvand_exchange_rejected_total") == 0
        log.write_bytes(line(1) + line(2)[:40] + b"\n" + line(4))
        table.write_text(f"{','.join(record)}\n{row}\n")
        assert await followed.look(3) == (3, 0)
        assert followed.sample("peyvand_exchange_rejected_total") == 1


async def test_packed_logs_and_documents_are_read_when_they_have_settled(following, tmp_path, line):
    """Gzip and documents are read whole, once; a table is followed by its rows."""
    logs = tmp_path / "logs"
    async with following() as followed:
        (logs / "a.log").write_bytes(gzip.compress(line(1) + line(2)))
        (logs / "b.log").write_bytes(b"[" + line(3) + b"," + line(4) + b"]")
        record = json.loads(line(5))
        header, row = ",".join(record), ",".join(map(str, record.values()))
        (logs / "c.log").write_text(f"{header}\n{row}\n{row.replace('x-5', 'x-6')}\n")
        assert await followed.look(4) == (6, 0)
        with (logs / "c.log").open("a") as out:
            out.write(row.replace("x-5", "x-7") + "\n")
        assert await followed.look(3) == (7, 0)
        assert followed.sample("peyvand_exchange_source_up", source="logs") == 1
    async with following() as followed:
        assert await followed.look(3) == (7, 0)
        assert followed.sample("peyvand_exchange_records_total") == 0


async def test_an_unreadable_log_is_reported_once(following, tmp_path, line):
    """A damaged file is a failure of the source, reported once until it changes. Other files are read."""
    bad, good = tmp_path / "logs" / "a.log", tmp_path / "logs" / "b.log"
    bad.write_bytes(gzip.compress(line(1))[:-9])
    good.write_bytes(line(2))
    async with following() as followed:
        assert (await followed.look(4))[0] == 1
        assert followed.failures() == [f"{bad}: its gzip data end early"]
        assert followed.sample("peyvand_exchange_source_failures_total", source="logs", failure="unreadable") == 1
        assert followed.sample("peyvand_exchange_source_up", source="logs") == 0
        bad.write_bytes(gzip.compress(line(1) + line(3)))
        assert (await followed.look(4))[0] == 3
        assert followed.sample("peyvand_exchange_source_up", source="logs") == 1


async def test_a_log_is_read_once_it_may_be(following, tmp_path, line, monkeypatch):
    """A log without permission is a failure, reported once. It is read once it may be, although nothing is written."""
    log, opened = tmp_path / "logs" / "a.log", LogFile._reopened

    def checked(self):
        """Open a file as another user than root does."""
        if not log.stat().st_mode & stat.S_IRUSR:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return opened(self)

    monkeypatch.setattr(LogFile, "_reopened", checked)
    log.write_bytes(line(1))
    log.chmod(0o200)
    async with following() as followed:
        assert await followed.look(4) == (0, 0)
        assert followed.failures() == [f"{log}: Permission denied"]
        assert followed.sample("peyvand_exchange_source_up", source="logs") == 0
        log.chmod(0o600)
        assert await followed.look() == (1, 0)
        assert followed.sample("peyvand_exchange_source_up", source="logs") == 1


async def test_a_name_need_not_be_utf8(following, tmp_path, line):
    """A log file with any bytes in its name is read, resumes where it stopped, and is named with escaped bytes."""
    log = os.fsencode(tmp_path / "logs") + b"/\xff\xfe.log"
    with open(log, "wb") as out:  # noqa: PTH123  # a path of bytes
        out.write(line(1) + line(2)[:40])
    async with following() as followed:
        assert await followed.look(3) == (1, 0)
        assert [waiting["file"] for waiting in followed.waiting()] == [r"\xff\xfe.log"]
    async with following() as followed:
        assert await followed.look(2) == (1, 0)
        assert followed.sample("peyvand_exchange_records_total") == 0
