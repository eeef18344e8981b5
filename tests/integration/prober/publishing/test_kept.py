"""Acknowledged batches are kept, up to a size and an age, and can be sent again."""

from __future__ import annotations

import asyncio
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import structlog
from prometheus_client import CollectorRegistry

from services.prober.assignments import Origin
from services.prober.metrics import ProberMetrics
from services.prober.publishing.publisher import MeasurementPublisher
from services.prober.publishing.spool import Spool, SpooledMessage
from tests.support.cases.probing import Sink
from tests.support.waiting import eventually

HOUR = 3600.0
ORIGIN = Origin("main", "p1", "r" * 64, "p" * 64)


def opened(folder: Path, *, limit: int = 1 << 20, keep: float = HOUR) -> Spool:
    spool = Spool(folder, limit, keep=keep)
    spool.open()
    return spool


async def kept(folder: Path, *, count: int = 3, limit: int = 1 << 20) -> Spool:
    """Return a spool whose batches are all acknowledged, each in its own file, with sequences 10, 20 and so on."""
    spool = opened(folder, limit=limit)
    for number in range(1, count + 1):
        batch = await spool.add([SpooledMessage.of("subject", bytes([number]) * 100)], rows=number)
        await spool.acknowledged(batch, 10 * number)
        await spool.keep()
    return spool


async def rows_again(spool: Spool, sequence: int) -> list[int]:
    """Return the rows of the batches that are due again when the bus has lost everything from a sequence on."""
    before, found = spool.next, []
    while await spool.again(sequence, before):
        batch = spool.pending[-1]
        assert [message.payload for message in await spool.read(batch)] == [bytes([batch.rows]) * 100]
        found.append(batch.rows)
        await spool.acknowledged(batch, 1000)
    return found


@contextmanager
def no_descriptors() -> Iterator[None]:
    """Prevent this process from opening files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_a_stop_leaves_no_acknowledged_batch_to_send(tmp_path: Path) -> None:
    """A prober that is stopped while it keeps acknowledged batches has none of them to send when it starts."""
    spool = opened(tmp_path)
    for number in (1, 2):
        batch = await spool.add([SpooledMessage.of("subject", bytes([number]) * 100)], rows=number)
        await spool.acknowledged(batch, 10 * number)
    keeping = asyncio.create_task(spool.keep())
    await asyncio.sleep(0)
    keeping.cancel()
    await asyncio.wait({keeping})
    await spool.keep()
    spool.close()
    restarted = opened(tmp_path)
    assert (len(restarted.pending), restarted.kept.sequence) == (0, 20)
    restarted.close()


async def test_too_many_open_files_lose_no_kept_batch(tmp_path: Path) -> None:
    """While this process can open no file, batches that are acknowledged wait to be kept, and kept ones wait to be sent again."""
    spool = opened(tmp_path)
    for number in (1, 2):
        batch = await spool.add([SpooledMessage.of("subject", bytes([number]) * 100)], rows=number)
        await spool.acknowledged(batch, 10 * number)
        with no_descriptors():
            await spool.keep()
        assert spool.kept.size == 0
    await spool.keep()
    assert spool.kept.sequence == 20
    with no_descriptors(), pytest.raises(OSError, match="Too many open files"):
        await spool.again(5, spool.next)
    assert (spool.kept.sequence, spool.damaged, len(spool.pending)) == (20, 0, 0)
    assert await spool.again(5, spool.next)
    payloads = [message.payload[0] for message in await spool.read(spool.pending[0])]
    assert payloads == [1, 2]
    spool.close()


@pytest.mark.parametrize("restarted", [False, True])
async def test_what_got_a_lost_sequence_is_due_again(tmp_path: Path, restarted: bool) -> None:
    """Batches from a lost sequence on become pending again, once, in this run and in the next; earlier ones do not."""
    spool = await kept(tmp_path)
    assert (len(spool.pending), spool.size, spool.kept.sequence) == (0, 0, 30)
    if restarted:
        spool.close()
        spool = opened(tmp_path)
        assert (len(spool.pending), spool.kept.sequence) == (0, 30)
    assert await rows_again(spool, 15) == [2, 3]
    assert await rows_again(spool, 2000) == []
    spool.close()


async def test_what_a_crash_left_is_sent_again_once(tmp_path: Path) -> None:
    """Batches that were acknowledged before a crash are due after it, and no longer after the next crash."""
    spool = opened(tmp_path)
    for number in range(1, 4):
        await spool.acknowledged(await spool.add([SpooledMessage.of("subject", bytes([number]))], rows=number), number)
    due = []
    for _ in range(2):
        spool.close()  # a crash keeps nothing
        spool = opened(tmp_path)
        due.append([batch.rows for batch in spool.pending])
        for batch in tuple(spool.pending):
            await spool.acknowledged(batch, 3)
    assert (due, spool.kept.sequence) == ([[1, 2, 3], []], 3)
    spool.close()


async def test_a_start_that_keeps_nothing_removes_what_was_kept(tmp_path: Path) -> None:
    """A prober that is told to keep nothing removes what an earlier run kept, and does not send it again."""
    (await kept(tmp_path)).close()
    spool = opened(tmp_path, keep=0)
    assert (spool.kept.size, spool.kept.sequence, list(tmp_path.glob("*.kept"))) == (0, 0, [])
    assert await rows_again(spool, 0) == []
    assert spool.next == 3
    spool.close()


async def test_what_is_kept_has_a_bound_and_an_age(tmp_path: Path) -> None:
    """The oldest files are removed first when there is too much, all when they are too old; 0 hours keep nothing."""
    spool = await kept(tmp_path / "bounded", count=9, limit=1000)
    sizes = [path.stat().st_size for path in (tmp_path / "bounded").glob("*.kept")]
    assert sum(sizes) == spool.kept.size <= 1000
    spool.kept.prune(9e9)
    assert (spool.kept.size, list((tmp_path / "bounded").glob("*.kept"))) == (0, [])
    spool.close()
    spool = opened(tmp_path / "none", keep=0)
    await spool.acknowledged(await spool.add([SpooledMessage.of("subject", b"1")], rows=1), 1)
    await spool.keep()
    assert [path.name for path in (tmp_path / "none").iterdir()] == ["lock"]
    spool.close()


async def test_a_damaged_kept_file_is_set_aside(tmp_path: Path) -> None:
    """A damaged kept file is counted with the damaged files of the spool, and the others are sent."""
    spool = await kept(tmp_path)
    first = min(tmp_path.glob("*.kept"))
    first.write_bytes(first.read_bytes()[:-1] + b"?")
    before = spool.next
    assert [await spool.again(0, before) for _ in range(4)] == [True, True, True, False]
    assert ([batch.rows for batch in spool.pending], spool.damaged) == ([2, 3], 1)
    spool.close()


async def test_a_noticed_loss_does_not_cut_a_demand_short(tmp_path: Path) -> None:
    """Everything that is kept is sent again on demand, even if the loss of some of it is noticed meanwhile."""
    spool, sink = await kept(tmp_path), Sink()
    publisher = MeasurementPublisher(
        spool, sink, ProberMetrics(CollectorRegistry()), structlog.get_logger(), run=bytes(16)
    )
    publisher.publish_again()
    publisher.publish_again(30)
    sending = asyncio.create_task(publisher.send())
    await eventually(lambda: publisher._again is None and not spool.pending, "it was sent again")
    sending.cancel()
    await asyncio.gather(sending, return_exceptions=True)
    assert {payload[0] for _, payload in sink.messages.values()} == {1, 2, 3}
    spool.close()
