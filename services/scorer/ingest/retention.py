"""Notices messages that a stream loses before they expire: somebody purged or replaced it, or a disk was lost."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime

from services.core.bus import Bus, StreamState

CONFIRM_SECONDS = 10.0
"""How long a loss must last. After an election a server can briefly report less than it has."""

_HORIZON_SHARE = 1 / 7  # of the age limit: how long a mark can be used while the bus is away
_FRESH_SHARE = 1 / 24  # of that horizon: after it the mark is renewed


@dataclass(frozen=True, slots=True)
class StreamMark:
    """A stream as it was last seen.

    The messages from ``kept_from`` on stay at least until ``until`` (epoch seconds).
    """

    state: StreamState
    kept_from: int
    until: float


def lost_messages(mark: StreamMark, state: StreamState) -> int:
    """Count the messages that are gone since the mark although they have not expired.

    A bucket replaces and expires its messages, so a loss is counted only if it was emptied or replaced. By then it may
    hold the scorer's lease again.
    """
    before = mark.state
    replaced = state.created != before.created
    if not state.max_age:
        emptied = state.messages < min(2, before.messages)
        return before.messages if replaced or emptied or state.last < before.last else 0
    start = mark.kept_from if state.now < mark.until else max(mark.kept_from, state.first)
    if replaced:
        return max(0, before.last + 1 - start)
    front = max(0, state.first - start)
    tail = max(0, before.last - max(state.last, start - 1))
    return front + tail + max(0, _holes(state) - _holes(before))


def _holes(state: StreamState) -> int:
    return state.last + 1 - state.first - state.messages


class RetentionWatch:
    """Checks one stream again and again, and counts what it lost in between."""

    def __init__(self, bus: Bus, stream: str) -> None:
        self._bus = bus
        self._stream = stream
        self._mark: StreamMark | None = None
        self._suspected: float | None = None

    async def look(self) -> tuple[StreamState, int]:
        """Return the state of the stream, and how many messages it lost since the previous call. Raises BusError."""
        state = await self._bus.stream_state(self._stream)
        lost = 0 if self._mark is None else lost_messages(self._mark, state)
        if lost:
            if self._suspected is None:
                self._suspected = state.now
            if state.now - self._suspected < CONFIRM_SECONDS:
                return state, 0
        self._mark = await self._marked(state, anew=lost > 0)
        self._suspected = None
        return state, lost

    async def _marked(self, state: StreamState, *, anew: bool) -> StreamMark:
        horizon = state.max_age * _HORIZON_SHARE
        mark = self._mark
        if mark is not None and not anew and state.now < mark.until - horizon * (1 - _FRESH_SHARE):
            return replace(mark, state=state)
        if not state.max_age:
            return StreamMark(state, state.first, state.now)
        since = datetime.fromtimestamp(state.now - state.max_age + horizon, UTC)
        oldest = await self._bus.read(self._stream, 1, limit=1, since=since)
        kept_from = oldest[0].sequence if oldest else state.last + 1
        return StreamMark(state, kept_from, state.now + horizon)
