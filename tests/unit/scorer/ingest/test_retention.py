"""Messages that a stream lost are distinguished from those that its age limit removed."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from services.core.bus import StoredMessage, StreamState
from services.scorer.ingest import retention
from services.scorer.ingest.retention import RetentionWatch, StreamMark, lost_messages

WEEK = 7 * 86_400.0
NOW = 1_800_000_000.0
STREAM = StreamState("2026-11-01T00:00:00Z", 101, 1100, 1000, 10_000, NOW, WEEK)
MARK = StreamMark(STREAM, 301, NOW + 86_400)
BUCKET = replace(STREAM, max_age=0.0)


@pytest.mark.parametrize(
    ("change", "lost"),
    [
        ({}, 0),
        ({"last": 1200, "messages": 1100}, 0),
        ({"first": 301, "messages": 800}, 0),  # up to here age may explain it
        ({"first": 302, "messages": 799}, 1),
        ({"first": 1101, "messages": 0}, 800),  # purged
        ({"first": 1101, "last": 1150, "messages": 50}, 800),  # purged, and more was stored
        ({"first": 1121, "last": 1150, "messages": 30}, 820),  # more was stored, then purged
        ({"first": 1001, "messages": 100}, 700),  # purged except the newest
        ({"messages": 997}, 3),  # single messages were deleted
        ({"last": 900, "messages": 800}, 200),  # the newest are gone
        ({"first": 1, "last": 0, "messages": 0, "created": "2026-11-02T00:00:00Z"}, 800),
        ({"first": 1, "last": 2000, "messages": 2000, "created": "2026-11-02T00:00:00Z"}, 800),
        ({"first": 1101, "messages": 0, "now": NOW + WEEK}, 0),  # nobody looked for a week
        ({"first": 1, "last": 0, "messages": 0, "created": "x", "now": NOW + WEEK}, 800),
    ],
)
def test_only_what_age_does_not_explain_is_lost(change: dict[str, Any], lost: int) -> None:
    """A purge, a deletion, a truncation and a new stream are counted. Messages that became too old are not."""
    assert lost_messages(MARK, replace(STREAM, **change)) == lost


@pytest.mark.parametrize(
    ("change", "lost"),
    [
        ({"first": 900, "messages": 90, "last": 1200}, 0),  # replaced and expired
        ({"first": 1101, "messages": 0}, 1000),
        ({"first": 1101, "last": 1101, "messages": 1}, 1000),  # the scorer renewed its lease since
        ({"created": "2026-11-02T00:00:00Z"}, 1000),
        ({"first": 1, "last": 5, "messages": 5}, 1000),
    ],
)
def test_a_bucket_loses_by_being_emptied_or_replaced(change: dict[str, Any], lost: int) -> None:
    """Values of a bucket expire by themselves, but never all of them."""
    assert lost_messages(StreamMark(BUCKET, 101, NOW), replace(BUCKET, **change)) == lost


class _Bus:
    """A stream that a test changes: ``state``, and the sequence of the first message at or after a moment."""

    def __init__(self) -> None:
        self.state = STREAM
        self.sequence = 301
        self.moments: list[float] = []

    async def stream_state(self, stream: str) -> StreamState:
        assert stream == "MEASUREMENTS"
        return self.state

    async def read(self, stream: str, start: int, *, limit: int, since: datetime) -> list[StoredMessage]:
        assert (stream, start, limit) == ("MEASUREMENTS", 1, 1)
        self.moments.append(since.timestamp())
        return [StoredMessage(self.sequence, "s", b"", 0.0)] if self.sequence <= self.state.last else []


async def test_a_loss_counts_once_it_lasts() -> None:
    """A smaller state that a new leader reports for a moment is no loss. A lasting one is counted once."""
    bus = _Bus()
    watch = RetentionWatch(bus, "MEASUREMENTS")  # type: ignore[arg-type]  # two of its methods
    assert await watch.look() == (STREAM, 0)
    bus.state = replace(STREAM, last=1000, messages=900, now=NOW + 2)
    assert (await watch.look())[1] == 0
    bus.state = replace(STREAM, now=NOW + 4)
    assert (await watch.look())[1] == 0
    bus.state = replace(STREAM, first=1101, messages=0, now=NOW + 6)
    assert (await watch.look())[1] == 0
    bus.state = replace(bus.state, now=NOW + 6 + retention.CONFIRM_SECONDS)
    assert (await watch.look())[1] == 800
    bus.state = replace(bus.state, now=NOW + 60)
    assert (await watch.look())[1] == 0


async def test_the_mark_moves_with_time() -> None:
    """From time to time the message that stays for another day is looked up. In between only the state is read."""
    bus = _Bus()
    watch = RetentionWatch(bus, "MEASUREMENTS")  # type: ignore[arg-type]  # two of its methods
    for hour in range(25):
        bus.state = replace(STREAM, now=NOW + 3600 * hour)
        await watch.look()
    assert bus.moments == [NOW + 3600 * hour - 6 * 86_400 for hour in range(25)]
    bus.sequence = 2000  # everything is older
    bus.state = replace(STREAM, now=NOW + 30 * 3600)
    await watch.look()
    bus.state = replace(STREAM, first=1101, messages=0, now=NOW + 30 * 3600 + 20)
    await watch.look()
    bus.state = replace(bus.state, now=NOW + 30 * 3600 + 40)
    assert (await watch.look())[1] == 0
