"""A reader that is ahead of a restored stream notices, however far the stream has grown meanwhile."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.core.bus import Bus, StreamCursor
from services.core.bus.names import MEASUREMENTS, measurement_subject
from services.core.bus.snapshots import restore_stream, save_stream
from services.core.errors import BusError, GapError
from services.core.model import StreamPosition
from tests.support.nats import Nats


async def _put(bus: Bus, count: int) -> None:
    for _ in range(count):
        await bus.publish(measurement_subject("main", 0), b"x", message_id="")


async def test_numbers_that_a_restored_stream_gave_again_are_not_passed_over(nats: Nats, tmp_path: Path) -> None:
    """A single server restores the time of creation too. Messages 4 and 5 are others then, and none of them was read."""
    async with nats.connect("admin") as admin, nats.connect("prober") as prober, nats.connect("scorer") as bus:
        await _put(prober, 3)
        await save_stream(admin, MEASUREMENTS, tmp_path / "kept")
        await _put(prober, 2)
        cursor = StreamCursor(bus, MEASUREMENTS, needed_from=0.0, accept=False)
        begin = await cursor.resume(None)
        *_, last = await cursor.read(begin, limit=10, now=0.0)
        position = StreamPosition(begin.stream, begin.created, last.sequence)
        assert await cursor.resume(position, stored=last.time) == position
        await admin.jetstream.delete_stream(MEASUREMENTS)
        with pytest.raises(BusError, match="reading"):
            await cursor.read(position, limit=10, now=1.0)
        await restore_stream(admin, tmp_path / "kept")
        await _put(prober, 4)
        with pytest.raises(GapError, match="has another message 5 than the one taken in"):
            await cursor.read(position, limit=10, now=2.0)
        with pytest.raises(GapError, match="has another message 5 than the one taken in"):
            await cursor.resume(position, stored=last.time)
        accepting = StreamCursor(bus, MEASUREMENTS, needed_from=0.0, accept=True)
        assert await accepting.resume(position, stored=last.time) == begin
