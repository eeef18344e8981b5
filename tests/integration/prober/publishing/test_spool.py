"""The spool on a real disk, with real crashes."""

from __future__ import annotations

import asyncio
import os
import resource
import shutil
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest
import structlog
from prometheus_client import CollectorRegistry

from services.core.codec import ChainPlace, decode_sender
from services.core.errors import StateError
from services.core.model.measurement import Target
from services.core.model.outcome import Reason
from services.prober.assignments import Origin
from services.prober.metrics import ProberMetrics
from services.prober.publishing.measurements import unmeasured
from services.prober.publishing.publisher import MeasurementPublisher
from services.prober.publishing.spool import Spool, SpooledMessage
from tests.support.paths import ROOT
from tests.support.waiting import DEADLINE


class Sink:
    """A bus that acknowledges everything."""

    connected = True

    def __init__(self) -> None:
        self.sent: list[SpooledMessage] = []

    async def publish(self, subject: str, payload: bytes, *, message_id: str, **_: int | None) -> int:
        self.sent.append(SpooledMessage(subject, message_id, payload))
        return len(self.sent)


def publisher_on(
    spool: Spool, sink: Sink, registry: CollectorRegistry | None = None, *, run: bytes = bytes(16)
) -> MeasurementPublisher:
    metrics = ProberMetrics(registry or CollectorRegistry())
    return MeasurementPublisher(spool, sink, metrics, structlog.get_logger(), run=run)


def opened(folder: Path, limit: int = 1 << 20, memory_bytes: int = 1 << 20) -> Spool:
    spool = Spool(folder, limit, memory_bytes=memory_bytes)
    spool.open()
    return spool


def records(number: int, size: int = 100) -> list[SpooledMessage]:
    return [SpooledMessage.of(f"subject.{part}", bytes([number]) * size) for part in range(3)]


async def test_batches_come_back_in_order(tmp_path: Path) -> None:
    """The next run finds the added batches, oldest first, with the same subjects, ids and payloads."""
    spool = opened(tmp_path)
    for number in range(5):
        await spool.add(records(number), rows=number)
    await spool.acknowledged(spool.pending[0], 1)
    spool.close()
    again = opened(tmp_path)
    found = [list(await again.read(batch)) for batch in again.pending]
    assert found == [records(number) for number in range(1, 5)]
    assert [batch.rows for batch in again.pending] == [1, 2, 3, 4]
    await again.add(records(9), rows=1)
    assert list(await again.read(again.pending[-1])) == records(9)
    again.close()


async def test_acknowledged_batches_leave_the_disk(tmp_path: Path) -> None:
    """An acknowledged batch is gone from the disk and from the sizes."""
    spool = opened(tmp_path)
    batch = await spool.add(records(1), rows=3)
    await spool.acknowledged(batch, 1)
    assert (len(spool.pending), spool.size, spool.dropped) == (0, 0, 0)
    assert [path.name for path in tmp_path.iterdir()] == ["lock"]
    spool.close()


async def test_a_full_spool_drops_the_oldest_and_counts(tmp_path: Path) -> None:
    """Beyond its limit the spool drops its oldest batches and counts them and their measurements."""
    spool = opened(tmp_path, limit=5000)
    for number in range(10):
        await spool.add(records(number, size=300), rows=7)
    assert spool.size <= 5000
    assert spool.dropped == 10 - len(spool.pending) > 0
    assert spool.dropped_rows == 7 * spool.dropped
    assert list(await spool.read(spool.pending[-1])) == records(9, size=300)
    assert sum(path.stat().st_size for path in tmp_path.glob("*.batch")) == spool.size
    spool.close()


async def test_batches_in_memory_are_not_read_from_disk(tmp_path: Path) -> None:
    """Pending batches stay in memory up to a bound and are read from disk beyond it; acknowledged ones make room."""
    one = sum(len(message.payload) for message in records(0)) + 400
    spool = opened(tmp_path, memory_bytes=2 * one)
    for number in range(4):
        await spool.add(records(number), rows=1)
    assert [batch.messages is not None for batch in spool.pending] == [True, True, False, False]
    assert [list(await spool.read(batch)) for batch in spool.pending] == [records(number) for number in range(4)]
    for path in sorted(tmp_path.glob("*.batch"))[:3]:
        path.unlink()
    assert list(await spool.read(spool.pending[0])) == records(0)
    assert await spool.read(spool.pending[2]) == ()
    assert (spool.damaged, len(spool.pending)) == (1, 3)
    await spool.acknowledged(spool.pending[0], 1)
    kept = await spool.add(records(9), rows=1)
    assert kept.messages is not None
    spool.close()


@pytest.mark.parametrize("damage", [lambda data: data[: len(data) // 2], lambda _: b"", lambda data: data[:-1] + b"?"])
async def test_a_damaged_file_is_set_aside(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    """A file that is cut short or changed fails its checksum and is set aside; the others are sent. It is exposed and
    logged as a warning, and its number is not reused.
    """
    spool = opened(tmp_path)
    for number in range(3):
        await spool.add(records(number), rows=1)
    spool.close()
    path = max(tmp_path.glob("*.batch"))
    content = damage(path.read_bytes())
    path.write_bytes(content)
    again = opened(tmp_path)
    assert [list(await again.read(batch)) for batch in again.pending] == [records(0), records(1)]
    assert path.with_name(f"{path.name}.damaged").read_bytes() == content
    await again.add(records(9), rows=1)
    assert not path.exists()
    registry = CollectorRegistry()
    with structlog.testing.capture_logs() as logged:
        publisher = publisher_on(again, sink := Sink(), registry)
        await publisher.drain(DEADLINE)
    assert sink.sent == [*records(0), *records(1), *records(9)]
    assert registry.get_sample_value("peyvand_spool_damaged_files") == 1
    assert [(line["event"], line["log_level"]) for line in logged] == [("spool_file_damaged", "warning")]
    again.close()
    later = opened(tmp_path)
    assert later.damaged == 1
    later.close()


async def test_what_a_crash_left_half_written_is_removed(tmp_path: Path) -> None:
    """A file under its temporary name was never finished, so nothing of it was published: it is removed, not damaged."""
    (tmp_path / f"{3:020d}.batch.part").write_bytes(b"half")
    spool = opened(tmp_path)
    assert (spool.damaged, len(spool.pending)) == (0, 0)
    assert [path.name for path in tmp_path.iterdir()] == ["lock"]
    spool.close()


async def test_a_full_disk_does_not_stop_measuring(tmp_path: Path) -> None:
    """A batch that the disk refuses is held in memory and can still be sent."""
    spool = opened(tmp_path / "spool")
    for path in (tmp_path / "spool").iterdir():
        path.unlink()
    (tmp_path / "spool").rmdir()
    batch = await spool.add(records(1), rows=3)
    assert (batch.path, batch.refusal) == (None, "No such file or directory")
    assert list(await spool.read(batch)) == records(1)
    await spool.acknowledged(batch, 1)
    assert not spool.pending
    spool.close()


async def test_a_disk_that_removes_nothing_does_not_stop_publishing(tmp_path: Path) -> None:
    """A batch whose file cannot be removed, as on a read-only disk, counts as sent. The file is removed with the next
    batch that the disk accepts, so that the next run does not send it again.
    """
    spool = opened(tmp_path)
    batch = await spool.add(records(1), rows=3)
    assert batch.path is not None
    batch.path.unlink()
    batch.path.mkdir()
    await spool.acknowledged(batch, 1)
    assert (len(spool.pending), spool.size) == (0, 0)
    batch.path.rmdir()
    batch.path.write_bytes(b"as on a disk that is well again")
    kept = await spool.add(records(1), rows=3)
    assert list(tmp_path.rglob("*.batch")) == [kept.path]
    spool.close()


async def test_a_refused_batch_is_logged_with_the_reason(tmp_path: Path) -> None:
    """The log has the disk's reason for refusing a batch."""
    spool = opened(tmp_path / "spool")
    shutil.rmtree(tmp_path / "spool")
    publisher = publisher_on(spool, Sink())
    publisher.add(unmeasured(Target("link"), 0, Reason.SHED, "", Origin("main", "p1", "r1", "p1")))
    with structlog.testing.capture_logs() as logs:
        await publisher.flush()
    (entry,) = (entry for entry in logs if entry["event"] == "spool_write_failed")
    assert (entry["reason"], entry["rows"]) == ("No such file or directory", 1)
    spool.close()


async def test_batches_are_chained_through_a_restart(tmp_path: Path) -> None:
    """Batches are numbered from 1, each with the hash of the previous one. Those that a run left in the spool keep
    their places, and the next run begins its own chain.
    """
    spool = opened(tmp_path)
    publisher = publisher_on(spool, Sink(), run=b"1" * 16)
    for target in ("a", "b"):
        for version in ("r1", "r2", "r3"):
            publisher.add(unmeasured(Target(target), 0, Reason.SHED, "", Origin("main", "p1", version, "p1")))
        await publisher.flush()
    spool.close()
    again = opened(tmp_path)
    publisher = publisher_on(again, sink := Sink(), run=b"2" * 16)
    publisher.add(unmeasured(Target("c"), 0, Reason.SHED, "", Origin("main", "p1", "r1", "p1")))
    await publisher.drain(DEADLINE)
    again.close()
    payloads = [message.payload for message in sink.sent]
    places = [decode_sender(payload).place for payload in payloads]
    hashes = [sha256(payload).digest() for payload in payloads]
    first, second = b"1" * 16, b"2" * 16
    assert len(places) == 7
    assert places[0] == ChainPlace(first, 1)
    assert places[1:-1] == [ChainPlace(first, number + 2, hashes[number]) for number in range(len(places) - 2)]
    assert places[-1] == ChainPlace(second, 1)


async def test_a_file_that_cannot_be_opened_now_is_not_damaged(tmp_path: Path) -> None:
    """While this process can open no file a batch stays pending, and is read when it can again."""
    spool = opened(tmp_path, memory_bytes=0)
    batch = await spool.add(records(1), rows=3)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    await asyncio.to_thread(int)  # the thread exists
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        with pytest.raises(OSError, match="Too many open files"):
            await spool.read(batch)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert (spool.damaged, list(spool.pending)) == (0, [batch])
    assert list(await spool.read(batch)) == records(1)
    spool.close()


def test_a_spool_has_one_owner(tmp_path: Path) -> None:
    """A second prober on the same folder is refused with a message."""
    spool = opened(tmp_path)
    with pytest.raises(StateError, match="another prober uses the spool"):
        opened(tmp_path)
    spool.close()
    opened(tmp_path).close()


async def test_kill_9_loses_nothing_that_was_spooled(tmp_path: Path) -> None:
    """A process killed while it spools leaves every batch it had reported, whole and in order."""
    script = textwrap.dedent("""
        import asyncio, sys
        from pathlib import Path
        from services.prober.publishing.spool import (Spool, SpooledMessage)

        async def main():
            spool = Spool(Path(sys.argv[1]), 1 << 30)
            spool.open()
            for number in range(100_000):
                await spool.add([SpooledMessage.of("s", number.to_bytes(4, "big") * 1000)], rows=1)
                print(number, flush=True)

        asyncio.run(main())
    """)
    process = subprocess.Popen(  # noqa: ASYNC220 - killed below, which asyncio's own would notice too late
        [sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, cwd=ROOT, text=True
    )
    assert process.stdout is not None
    for line in process.stdout:
        if int(line) >= 20:
            break
    os.kill(process.pid, signal.SIGKILL)
    reported = 20
    for line in process.stdout.read().split():
        reported = int(line)
    process.stdout.close()
    process.wait()
    spool = opened(tmp_path)
    found = [(await spool.read(batch))[0].payload for batch in spool.pending]
    assert len(found) > reported
    assert found == [number.to_bytes(4, "big") * 1000 for number in range(len(found))]
    assert spool.damaged == 0
    spool.close()
