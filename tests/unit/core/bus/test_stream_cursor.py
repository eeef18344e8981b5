from __future__ import annotations

from typing import Any, cast

import pytest

from services.core.bus import Bus
from services.core.bus.messages import StoredMessage, StreamState, moment_of
from services.core.bus.stream_cursor import CHECK_SECONDS, StreamCursor
from services.core.errors import BusError, GapError
from services.core.model import StreamPosition

POSITION = StreamPosition("MEASUREMENTS", "2026-11-27T10:00:00Z", 3)


class Stream:
    """A stream of ten messages that may be recreated, on a bus that may be away."""

    def __init__(self) -> None:
        self.created, self.away = POSITION.created, False
        self.first, self.deleted, self.lost = 1, set[int](), set[int]()

    async def stream_state(self, _: str) -> StreamState:
        return StreamState(self.created, self.first, 10, 10, 0, now=0.0)

    async def were_deleted(self, _: str, first: int, last: int, *, or_lost: bool = False) -> bool:
        return set(range(first, last + 1)) <= self.deleted - (set() if or_lost else self.lost)

    async def read(self, _: str, start: int, *, limit: int, **__: Any) -> list[StoredMessage]:
        if self.away:
            raise BusError("away")
        return [StoredMessage(sequence, "s", b"", float(sequence)) for sequence in range(start, 11)][:limit]


def cursor_on(stream: Stream, *, accept: bool = False) -> StreamCursor:
    return StreamCursor(cast(Bus, stream), "MEASUREMENTS", needed_from=0.0, accept=accept, pass_deleted=3)


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


@pytest.mark.parametrize("taken", [0, 3, 10, 12])
async def test_a_stream_made_anew_is_noticed_wherever_it_begins(taken: int) -> None:
    """A recreated stream whose messages are gone up to some number is another one, also if its reader had just as many."""
    stream = Stream()
    stream.created, stream.first = "2026-11-27T11:00:00Z", 11
    with pytest.raises(GapError, match="created anew"):
        await cursor_on(stream).begun_anew(at(taken))
    cursor = cursor_on(stream, accept=True)
    begin = StreamPosition(POSITION.stream, stream.created, 10)
    assert await cursor.begun_anew(at(taken)) == (begin, moment_of(stream.created))
    assert cursor.gaps_accepted == 1
    assert await cursor.resume(at(taken)) == begin
    assert cursor.gaps_accepted == 2


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


def at(sequence: int) -> StreamPosition:
    return StreamPosition(POSITION.stream, POSITION.created, sequence)


async def test_a_stream_ends_where_nothing_follows() -> None:
    """The end is the last message. It is unknown while a message follows, and if the stream is another one or shorter."""
    stream = Stream()
    cursor = cursor_on(stream)
    assert await cursor.end(at(10)) == (at(10), 0.0)
    assert await cursor.end(at(9)) is None
    assert await cursor.end(at(11)) is None
    stream.deleted = {8}
    assert await cursor.end(at(7)) is None
    stream.created = "2026-11-27T11:00:00Z"
    assert await cursor.end(at(10)) is None


@pytest.mark.parametrize(
    ("first", "deleted", "lost", "passed"),
    [
        (1, {8, 9, 10}, set(), True),
        (1, {7, 8, 9, 10}, set(), False),  # too many
        (1, {8, 9, 10}, {9}, False),  # a damaged file
        (11, set(), set(), False),  # purged
        (9, {9, 10}, set(), False),
    ],
)
async def test_a_stream_whose_last_messages_are_gone_ends_after_them(
    first: int, deleted: set[int], lost: set[int], *, passed: bool
) -> None:
    """Gone messages at the end are passed over if few were deleted by request, or gaps are accepted, and else refused."""
    stream = Stream()
    stream.first, stream.deleted, stream.lost = first, deleted, lost
    read = at(6) if len(deleted) > 3 else at(7)
    if passed:
        assert await cursor_on(stream).end(read) == (at(10), 0.0)
    else:
        with pytest.raises(GapError, match=f"messages {read.sequence + 1} to 10 of stream MEASUREMENTS are gone"):
            await cursor_on(stream).end(read)
    assert await cursor_on(stream, accept=True).end(read) == (at(10), 0.0)
