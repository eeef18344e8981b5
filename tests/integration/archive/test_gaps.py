"""Messages that the archive could not read are in a manifest, and no day waits for them."""

from __future__ import annotations

import time

import pytest
import structlog
from prometheus_client import CollectorRegistry

from services.archive.metrics import ArchiveMetrics
from services.archive.stream_archiver import StreamArchiver
from services.archive.stream_kinds import ARCHIVED_STREAMS
from services.core.bus import Bus, StreamCursor
from services.core.bus.names import FINDINGS
from services.core.bus.topology import initialise_streams
from services.core.errors import GapError
from services.dataset.positions import read_position
from services.dataset.storage import LocalStorage
from services.dataset.tables import FINDING
from tests.support.cases.archive import Archive, publish
from tests.support.nats import Nats


class Reader:
    """An archiver of findings and its cursor."""

    def __init__(self, archive: Archive, nats: Nats, *, accept: bool) -> None:
        (what,) = (one for one in ARCHIVED_STREAMS if one.kind is FINDING)
        self.storage = LocalStorage(archive.folder / "dataset")
        self.archiver = StreamArchiver(
            self.storage,
            what,
            segment_seconds=0.0,
            metrics=ArchiveMetrics(CollectorRegistry()),
            log=structlog.get_logger(),
        )
        self._archive, self._nats, self.accept = archive, nats, accept

    async def resume(self) -> list[str]:
        """Continue from the position, record it as before a day is sealed, and return the gaps that it names."""
        async with self._nats.connect("archive") as bus:
            await self.archiver.resume(self._cursor(bus))
        await self.archiver.record([])
        return self.recorded()

    async def take(self) -> list[str]:
        """Read until nothing follows, and return the gaps; everything up to now is complete then."""
        before = time.time()
        async with self._nats.connect("archive") as bus:
            cursor = self._cursor(bus)
            for _ in range(2):  # the second time, nothing follows
                await self.archiver.take(cursor, self._archive.days)
        assert self.archiver.complete_up_to > before
        await self.archiver.record([])
        return self.recorded()

    def recorded(self) -> list[str]:
        """Return the gaps in the position: what a restart knows."""
        position = read_position(self.storage, FINDING)
        assert position is not None
        assert self.archiver.missing(0.0, time.time()) == [gap.sentence(FINDINGS) for gap in position.gaps]
        return [gap.sentence(FINDINGS).partition(" of stream")[0] for gap in position.gaps]

    def _cursor(self, bus: Bus) -> StreamCursor:
        return StreamCursor(bus, FINDINGS, needed_from=0.0, accept=self.accept, pass_deleted=10)


async def test_an_archive_beside_an_old_bus_names_what_was_gone_before_it_came(archive: Archive, nats: Nats) -> None:
    """Messages that a bus had dropped before the archive was added are a gap since the stream was created."""
    for number in range(3):
        await publish(nats, number)
    async with nats.connect("admin") as admin:
        await admin.jetstream.purge_stream(FINDINGS, seq=3)
        state = await admin.stream_state(FINDINGS)
    reader = Reader(archive, nats, accept=True)
    assert await reader.resume() == ["messages 1 to 2"]
    assert await reader.take() == ["messages 1 to 2"]
    (sentence,) = reader.archiver.missing(0.0, time.time())
    assert f"stored from {state.created[:19]}Z to " in sentence


@pytest.mark.parametrize("restarted", [False, True])
async def test_a_purged_stream_that_stays_silent_is_a_gap(archive: Archive, nats: Nats, *, restarted: bool) -> None:
    """If a stream was purged of unread messages and nothing follows, the archive refuses, or names them and goes on."""
    reader = Reader(archive, nats, accept=False)
    await publish(nats, 0)
    await reader.resume()
    assert await reader.take() == []
    for number in range(1, 3):
        await publish(nats, number)
    async with nats.connect("admin") as admin:
        await admin.jetstream.purge_stream(FINDINGS)
    if restarted:
        with pytest.raises(GapError, match="messages 2 to 3 of stream FINDINGS are gone"):
            await Reader(archive, nats, accept=False).resume()
        reader = Reader(archive, nats, accept=True)
        assert await reader.resume() == ["messages 2 to 3"]
    else:
        with pytest.raises(GapError, match="messages 2 to 3 of stream FINDINGS are gone"):
            await reader.take()
        reader.accept = True
    assert await reader.take() == ["messages 2 to 3"]
    await publish(nats, 3)
    assert await reader.take() == ["messages 2 to 3"]


async def test_a_deleted_last_message_is_a_gap(archive: Archive, nats: Nats) -> None:
    """If the last message of a stream is deleted unread, it is named, and days are sealed without it."""
    reader = Reader(archive, nats, accept=False)
    await publish(nats, 0)
    await reader.resume()
    assert await reader.take() == []
    await publish(nats, 1)
    async with nats.connect("admin") as admin:
        await admin.jetstream.delete_msg(FINDINGS, 2)
    assert await reader.take() == ["messages 2 to 2"]


@pytest.mark.parametrize("again", [0, 1])
@pytest.mark.parametrize("taken", [0, 1])
async def test_a_stream_that_begins_again_and_stays_silent_is_a_gap(
    archive: Archive, nats: Nats, taken: int, again: int
) -> None:
    """If a stream is recreated, the messages that followed in the former one are named, even if the new one ends with
    the same number or has no message.
    """
    reader = Reader(archive, nats, accept=True)
    for number in range(taken):
        await publish(nats, number)
    await reader.resume()
    assert await reader.take() == []
    async with nats.connect("admin") as admin:
        await admin.jetstream.delete_stream(FINDINGS)
        await initialise_streams(admin)
        for number in range(again):
            await publish(nats, number)
        await admin.jetstream.purge_stream(FINDINGS)
    reader = Reader(archive, nats, accept=True)
    assert await reader.resume() == [f"messages from {taken + 1} on"]
    assert await reader.take() == [f"messages from {taken + 1} on"]
