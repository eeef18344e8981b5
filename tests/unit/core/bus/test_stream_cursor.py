from __future__ import annotations

from typing import Any, cast

import pytest

from services.core.bus import Bus
from services.core.bus.messages import StoredMessage, StreamState
from services.core.bus.stream_cursor import CHECK_SECONDS, StreamCursor
from services.core.errors import BusError, GapError
from services.core.model import StreamPosition

POSITION = StreamPosition("MEASUREMENTS", "2026-11-27T10:00:00Z", 3)


class Stream:
    """A stream of ten messages that may be recreated, on a bus that may be away."""

    def __init__(self) -> None:
        self.created, self.away = POSITION.created, False

    async def stream_state(self, _: str) -> StreamState:
        return StreamState(self.created, 1, 10, 10, 0, now=0.0)

    async def read(self, _: str, start: int, *, limit: int, **__: Any) -> list[StoredMessage]:
        if self.away:
            raise BusError("away")
        return [StoredMessage(sequence, "s", b"", float(sequence)) for sequence in range(start, 11)][:limit]


def cursor_on(stream: Stream, *, accept: bool = False) -> StreamCursor:
    return StreamCursor(cast(Bus, stream), "MEASUREMENTS", needed_from=0.0, accept=accept)


@pytest.mark.parametrize("accept", [False, True])
async def test_a_stream_made_anew_is_noticed_though_it_has_more_to_read(
    accept: bool,
) -> None:
    """A recreated stream that has outgrown the position is not read from there, even if gaps are accepted."""
    stream = Stream()
    cursor = cursor_on(stream, accept=accept)
    assert len(await cursor.read(POSITION, limit=2, now=1.0)) == 2
    stream.created = "2026-11-27T11:00:00Z"
    with pytest.raises(GapError, match="created anew"):
        await cursor.read(POSITION, limit=2, now=1.0 + CHECK_SECONDS)


async def test_a_bus_that_comes_back_is_looked_at_first() -> None:
    """After a failure the stream is checked before anything is read from it, however soon."""
    stream = Stream()
    cursor = cursor_on(stream)
    await cursor.read(POSITION, limit=2, now=10.0)
    stream.away = True
    with pytest.raises(BusError):
        await cursor.read(POSITION, limit=2, now=10.1)
    stream.away, stream.created = False, "2026-11-27T11:00:00Z"
    with pytest.raises(GapError, match="created anew"):
        await cursor.read(POSITION, limit=2, now=10.2)
