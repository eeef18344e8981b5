from __future__ import annotations

import asyncio
import gzip
import json
import os
import shutil
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import structlog
from prometheus_client import CollectorRegistry

from services.collector.config import FileSource
from services.collector.files.tailer import FileTailer
from services.collector.intake import Intake
from services.collector.ledger.executor import LedgerExecutor
from services.collector.metrics import CollectorMetrics

NOW = 1_700_000_500_000


class Followed:
    """A tailer that looks when the test lets it."""

    def __init__(self, ledger, executor, registry, lines):
        self.ledger, self.executor, self.registry, self.lines = ledger, executor, registry, lines
        self.now = NOW
        self.begin, self.ended = asyncio.Event(), asyncio.Event()

    async def wait(self, seconds):
        if seconds:
            self.ended.set()
            await self.begin.wait()
            self.begin.clear()
        return False

    async def look(self, times=1):
        """Let the tailer look; return the numbers of exchanges and of duplicates."""
        for _ in range(times):
            await self.ended.wait()
            self.ended.clear()
            self.begin.set()
            await self.ended.wait()
        totals = await self.executor.run(self.ledger.totals)
        return totals.exchanges, self.sample("peyvand_exchange_duplicates_total")

    def sample(self, name, **labels):
        return self.registry.get_sample_value(name, labels)

    def waiting(self):
        return [line for line in self.lines if line["event"] == "line_waiting"]

    def failures(self):
        return [line["reason"].splitlines()[0] for line in self.lines if line["event"] == "source_failed"]

    def position(self):
        return self.sample("peyvand_exchange_position_timestamp_seconds", source="logs")


def is_open(folder):
    """Names of the files of a folder that this process has open, including those that are gone."""
    links = []
    for descriptor in Path("/proc/self/fd").iterdir():
        try:
            links.append(str(descriptor.readlink()))
        except OSError:
            continue
    return sorted(link.removeprefix(f"{folder}/") for link in links if link.startswith(f"{folder}/"))


@pytest.fixture
def following(tmp_path):
    """Tails tmp_path/logs/*.log, or another path, with a state."""
    (tmp_path / "logs").mkdir()

    @asynccontextmanager
    async def follow(path="logs/*.log"):
        executor, registry = LedgerExecutor(), CollectorRegistry()
        with structlog.testing.capture_logs() as lines:
            async with executor.ledger(tmp_path / "state.sqlite", 300, NOW) as ledger:
                metrics, log = CollectorMetrics(registry), structlog.get_logger()
                followed = Followed(ledger, executor, registry, lines)
                intake = Intake(executor, ledger, metrics, log, lambda: followed.now)
                source = FileSource("logs", tmp_path / path, 1.0)
                task = asyncio.create_task(FileTailer(source, intake, metrics, log, followed.wait).run())
                yield followed
                task.cancel()
                await asyncio.wait([task])
                assert is_open(tmp_path / "logs") == []

    return follow


@pytest.fixture
def line(raw):
    """The line of one exchange's client side, by number."""
    return lambda number: json.dumps(raw(xRequestId=f"x-{number}")).encode() + b"\n"


async def test_a_log_is_read_as_it_grows(following, tmp_path, line):
    """Complete lines are read at once, the rest of a line when it has come, and nothing twice, over a restart as well."""
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
    """A log without new lines counts as read up to now, while its newest exchange ages; a line of tomorrow is not
    newer than now.
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
            out.write(json.dumps(raw(requestInTs=NOW + 10**8, responseOutTs=NOW + 10**8, xRequestId="x-2")) + "\n")
        assert await followed.look() == (2, 0)
        assert state() == [NOW / 1000 + 2000, NOW / 1000 + 2000]


async def test_the_last_line_needs_no_end(following, tmp_path, line):
    """A last line without an end is read once the file has settled; its end, when it comes, changes nothing."""
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
    """Half a line from a writer with a buffer waits, logged once, over a restart as well; nothing of it is lost."""
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
    """A line that ends and is not a record is rejected, and the lines after it are read; half a row of a table waits
    too.
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
    """A damaged file is a failure of the source, reported once until it changes, and others are read."""
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


async def test_what_was_written_before_a_log_was_renamed_is_read(following, tmp_path, line):
    """A log that is renamed is read on under its old name, to the last line of a writer that continues, beside its
    replacement; it is closed when it is removed.
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
    """Of a log that was replaced or removed, what was written since the last look is read, and its file closed."""
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
    truncated; compressed afterwards, nothing counts twice.
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
    """A folder that is missing, or is a file, is a failure until that changes.

    Nothing counts as read then, nor while a folder is empty, which is no failure.
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
    """A folder that may not be listed or entered any more is a failure, not an empty one."""
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
