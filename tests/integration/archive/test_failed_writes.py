"""The archive writes nothing twice after its disk refused a part, and no position over a newer one when it is slow."""

from __future__ import annotations

import asyncio
import errno
import os
import threading
import time
from pathlib import Path

import pytest
import structlog
from prometheus_client import CollectorRegistry

from services.archive.metrics import ArchiveMetrics
from services.archive.stream_archiver import StreamArchiver
from services.archive.stream_kinds import ARCHIVED_STREAMS
from services.core.bus import StreamCursor
from services.core.bus.names import EXCHANGES, MEASUREMENTS
from services.core.bus.topology import initialise_streams
from services.core.errors import StateError
from services.dataset.days import list_segments, read_segments
from services.dataset.positions import read_position
from services.dataset.storage import LocalStorage
from services.dataset.tables import BATCH, EXCHANGE, MEASUREMENT, Kind
from tests.support.cases.archive import LINKS, Archive, publish
from tests.support.nats import Nats


class FullOnce(LocalStorage):
    """A folder on a disk that is full once, when a file is written whose name begins so."""

    def __init__(self, folder: Path, prefix: str = "open/measurement.json") -> None:
        super().__init__(folder)
        self.full, self._prefix = True, prefix

    def write(self, name: str, content: bytes) -> None:
        if self.full and name.startswith(self._prefix):
            self.full = False
            raise StateError(f"{name}: no space left on device")
        super().write(name, content)


class StuckOnce(FullOnce):
    """Likewise, and once ``stuck`` is set, the next file that is to be removed stays."""

    stuck = False

    def remove(self, name: str) -> None:
        if self.stuck:
            self.stuck = False
            raise StateError(f"{name}: read-only file system")
        super().remove(name)


class SlowOnce(LocalStorage):
    """A folder on a disk that, once ``slow`` is set, keeps the next file of a position waiting until ``go`` is set."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.slow, self.waits, self.go = threading.Event(), threading.Event(), threading.Event()

    def write(self, name: str, content: bytes) -> None:
        if self.slow.is_set() and name == "open/measurement.json":
            self.slow.clear()
            self.waits.set()
            self.go.wait()
        super().write(name, content)


def archiver_of(storage: LocalStorage, kind: Kind = MEASUREMENT) -> StreamArchiver:
    (what,) = (one for one in ARCHIVED_STREAMS if one.kind is kind)
    metrics = ArchiveMetrics(CollectorRegistry())
    return StreamArchiver(storage, what, segment_seconds=0.0, metrics=metrics, log=structlog.get_logger())


def sequences(storage: LocalStorage) -> list[int]:
    """Return the message of each row of measurements in segments, sorted."""
    tables = read_segments(storage, MEASUREMENT, list_segments(storage, MEASUREMENT))
    return sorted(sequence for table in tables for sequence in table["sequence"].to_pylist())


async def write_one_of_two(storage: FullOnce, cursor: StreamCursor, archive: Archive, nats: Nats) -> StreamArchiver:
    """Publish two messages, and return their archiver. The disk refuses a part of the second one."""
    storage.full = False
    archiver = archiver_of(storage)
    await publish(nats, 0)
    await archiver.resume(cursor)
    await archiver.take(cursor, archive.days)
    await publish(nats, 1)
    storage.full = True
    with pytest.raises(StateError, match="no space left"):
        await archiver.take(cursor, archive.days)
    return archiver


async def test_a_refused_write_leaves_nothing_twice(archive: Archive, nats: Nats, tmp_path: Path) -> None:
    """Rows whose segment was written before the disk was full are in the dataset once, together with later rows."""
    storage = FullOnce(tmp_path / "full")
    archiver = archiver_of(storage)
    async with nats.connect("archive") as bus:
        cursor = StreamCursor(bus, MEASUREMENTS, needed_from=0.0, accept=False)
        await publish(nats, 0)
        await archiver.resume(cursor)
        with pytest.raises(StateError, match="no space left"):
            await archiver.take(cursor, archive.days)
        await publish(nats, 1)
        await archiver.take(cursor, archive.days)
    assert sequences(storage) == [1] * len(LINKS) + [2] * len(LINKS)


async def test_a_refused_write_leaves_the_segments_of_other_streams(
    archive: Archive, nats: Nats, tmp_path: Path
) -> None:
    """When the disk refused a part of one stream, the next write removes no batches of measurements."""
    storage = FullOnce(tmp_path / "full", "open/exchange.json")
    measurements, exchanges = archiver_of(storage), archiver_of(storage, EXCHANGE)
    async with nats.connect("archive") as bus:
        cursor = StreamCursor(bus, MEASUREMENTS, needed_from=0.0, accept=False)
        other = StreamCursor(bus, EXCHANGES, needed_from=0.0, accept=False)
        await publish(nats, 0)
        await measurements.resume(cursor)
        await measurements.take(cursor, archive.days)
        await exchanges.resume(other)
        with pytest.raises(StateError, match="no space left"):
            await exchanges.take(other, archive.days)
        await exchanges.take(other, archive.days)
    assert [(one.first, one.last) for one in list_segments(storage, BATCH)] == [(1, 1)]


async def test_rows_without_their_batches_do_not_outlive_their_stream(
    archive: Archive, nats: Nats, tmp_path: Path
) -> None:
    """If a stream is recreated after a crash between rows and batches, the rows go: they are of messages in the gap."""
    storage = FullOnce(tmp_path / "full", "open/batch/")
    async with nats.connect("archive") as bus:
        cursor = StreamCursor(bus, MEASUREMENTS, needed_from=0.0, accept=True)
        await write_one_of_two(storage, cursor, archive, nats)
        assert sequences(storage) == [1] * len(LINKS) + [2] * len(LINKS)
        async with nats.connect("admin") as admin:
            await admin.jetstream.delete_stream(MEASUREMENTS)
            await initialise_streams(admin)
        await publish(nats, 2)
        restarted = archiver_of(storage)
        await restarted.resume(cursor)
        await restarted.take(cursor, archive.days)
    assert [(one.first, one.last, one.generation) for one in list_segments(storage, BATCH)] == [(1, 1, 0), (1, 1, 1)]
    assert sequences(storage) == [1] * len(LINKS) * 2
    (gap,) = restarted.missing(0.0, time.time())
    assert gap.startswith("messages from 2 on")


@pytest.mark.parametrize("held", [True, False])
async def test_a_segment_on_a_bad_sector_is_damaged(
    archive: Archive, nats: Nats, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, held: bool
) -> None:
    """A segment that the disk can no longer read is read again, or removed if no stream has its messages."""
    storage = LocalStorage(tmp_path / "old")
    archiver = archiver_of(storage)
    async with nats.connect("archive") as bus:
        cursor = StreamCursor(bus, MEASUREMENTS, needed_from=0.0, accept=True)
        await archiver.resume(cursor)
        for number in range(2):
            await publish(nats, number)
            await archiver.take(cursor, archive.days)
        (bad,) = {tmp_path / "old" / one.name for one in list_segments(storage, MEASUREMENT) if one.first == 1}
        read = Path.read_bytes

        def failing(path: Path) -> bytes:
            if path == bad:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            return read(path)

        monkeypatch.setattr(Path, "read_bytes", failing)
        if not held:
            async with nats.connect("admin") as admin:
                await admin.jetstream.purge_stream(MEASUREMENTS, seq=2)
        restarted = archiver_of(storage)
        await restarted.resume(cursor)
        await restarted.take(cursor, archive.days)
    if held:
        assert [(one.first, one.last) for one in list_segments(storage, BATCH)] == [(1, 2)]
        assert restarted.missing(0.0, time.time()) == []
    else:
        assert not bad.exists()
        assert sequences(storage) == [2] * len(LINKS)
        (gap,) = restarted.missing(0.0, time.time())
        assert gap.startswith("messages 1 to 1 ")


async def test_what_two_archives_wrote_is_kept_once_if_the_bus_no_longer_has_it(
    archive: Archive, nats: Nats, tmp_path: Path
) -> None:
    """Once the gap is accepted, each message is in one segment, the next start finds nothing wrong, and the day can be sealed."""
    storage = LocalStorage(tmp_path / "shared")
    one, another = archiver_of(storage), archiver_of(storage)
    async with nats.connect("archive") as bus, nats.connect("admin") as admin:
        cursor = StreamCursor(bus, MEASUREMENTS, needed_from=0.0, accept=True)
        await one.resume(cursor)
        await another.resume(cursor)
        await publish(nats, 0)
        await one.take(cursor, archive.days)
        await publish(nats, 1)
        await another.take(cursor, archive.days)
        await one.take(cursor, archive.days)
        assert [(part.first, part.last) for part in list_segments(storage, BATCH)] == [(1, 1), (1, 2), (2, 2)]
        await admin.jetstream.purge_stream(MEASUREMENTS)
        await publish(nats, 2)
        restarted = archiver_of(storage)
        await restarted.resume(cursor)
        await restarted.take(cursor, archive.days)
        (gap,) = restarted.missing(0.0, time.time())
        assert gap.startswith("messages 1 to 2 ")
        assert sequences(storage) == [1] * len(LINKS) + [2] * len(LINKS) + [3] * len(LINKS)
        refusing = StreamCursor(bus, MEASUREMENTS, needed_from=0.0, accept=False)
        await archiver_of(storage).resume(refusing)


async def test_a_stop_while_a_segment_is_to_be_read_again_loses_nothing(
    archive: Archive, nats: Nats, tmp_path: Path
) -> None:
    """The rows in memory are not written over a position that moved back before a damaged segment."""
    storage = StuckOnce(tmp_path / "stuck")
    async with nats.connect("archive") as bus:
        cursor = StreamCursor(bus, MEASUREMENTS, needed_from=0.0, accept=False)
        archiver = await write_one_of_two(storage, cursor, archive, nats)
        name = list_segments(storage, MEASUREMENT)[0].name
        storage.write(name, storage.read(name)[:-40])
        archiver.doubt()
        storage.stuck = True
        with pytest.raises(StateError, match="read-only"):
            await archiver.resume(cursor)
        await archiver.write(archive.days)  # as when the archive is stopped
        position = read_position(storage, MEASUREMENT)
        assert position is not None
        assert position.sequence == 0
        restarted = archiver_of(storage)
        await restarted.resume(cursor)
        await restarted.take(cursor, archive.days)
    assert sequences(storage) == [1] * len(LINKS) + [2] * len(LINKS)


async def test_a_slow_write_does_not_undo_what_sealing_records(archive: Archive, nats: Nats, tmp_path: Path) -> None:
    """A position that is being written when a day is due is followed by one without the segments of that day."""
    storage = SlowOnce(tmp_path / "slow")
    archiver = archiver_of(storage)
    async with nats.connect("archive") as bus:
        cursor = StreamCursor(bus, MEASUREMENTS, needed_from=0.0, accept=False)
        await archiver.resume(cursor)
        await publish(nats, 0)
        await archiver.take(cursor, archive.days)
        days = {segment.day for segment in list_segments(storage, MEASUREMENT)}
        await publish(nats, 1)
        storage.slow.set()
        reading = asyncio.create_task(archiver.take(cursor, archive.days))
        await asyncio.to_thread(storage.waits.wait)
        recording = asyncio.create_task(archiver.record(sorted(days)))
        await asyncio.wait({recording}, timeout=0.5)  # it would end now, if it did not wait for the other
        storage.go.set()
        await asyncio.gather(reading, recording)
    position = read_position(storage, MEASUREMENT)
    assert position is not None
    assert (position.sequence, dict(position.segments)) == (2, {})
