"""Reading a stream over a slow link."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import AsyncMock, Mock

import pytest
from nats.aio.msg import Msg

from services.core.bus.streams import Streams
from services.core.errors import BusError


def stored(sequence: int) -> Msg:
    """Return a reply that holds a stored message."""
    headers = {
        "Nats-Sequence": str(sequence),
        "Nats-Subject": "a",
        "Nats-Time-Stamp": "2026-01-01T00:00:00.000000000Z",
    }
    return Msg(_client=Mock(), data=b"x", headers=headers)


class SlowReplies:
    """A reply inbox in which the last reply of a batch never arrives."""

    def __init__(self, *replies: Msg) -> None:
        self._replies = replies

    @contextmanager
    def expected(self) -> Iterator[tuple[str, asyncio.Queue[Msg]]]:
        """Yield a subject and the queue of what has arrived."""
        queue: asyncio.Queue[Msg] = asyncio.Queue()
        for reply in self._replies:
            queue.put_nowait(reply)
        yield "inbox", queue


async def test_part_of_a_batch_is_returned_when_the_rest_is_late() -> None:
    """Messages that came before the deadline are returned. If none came, the read fails."""
    client = Mock(publish=AsyncMock())
    slow = Streams(client, "scorer", SlowReplies(stored(3), stored(4)))  # type: ignore[arg-type]  # as far as it is used
    assert [message.sequence for message in await slow.read("MEASUREMENTS", 3, timeout=0.01)] == [3, 4]
    silent = Streams(client, "scorer", SlowReplies())  # type: ignore[arg-type]
    with pytest.raises(BusError, match="no answer in time"):
        await silent.read("MEASUREMENTS", 3, timeout=0.01)
