"""A stream, read from where it was left, without a hole (docs/design.md §6)."""

from __future__ import annotations

from services.core.bus import Bus, StoredMessage, StreamState
from services.core.log import logger
from services.scorer.state import StreamBounds, StreamPosition, missing_messages, resume

__all__ = ["StreamCursor"]

LOOK_SECONDS = 5.0
"""How often a stream that brings nothing is asked whether it is still the same."""


class StreamCursor:
    """Reads one stream in order. A stream that was made anew, or lost messages, is a GapError, not silence."""

    def __init__(self, bus: Bus, stream: str, *, needed_from: float, accept: bool) -> None:
        self._bus = bus
        self._stream = stream
        self._needed_from = needed_from
        self._accept = accept
        self._looked = 0.0

    async def resume(self, position: StreamPosition | None) -> StreamPosition:
        """Return where to go on reading. Raises GapError, and BusError when the bus does not answer."""
        kept = await self._kept(position.sequence if position else 0)
        start = resume(self._stream, position, kept, needed_from=self._needed_from, accept=self._accept)
        if start.sequence != (position.sequence if position else 0):
            logger().warning("gap_passed_over", stream=self._stream, reading_from=start.sequence + 1)
        return start

    async def read(self, position: StreamPosition, *, limit: int, now: float) -> list[StoredMessage]:
        """Return the messages that follow ``position``, at most ``limit``; ``now`` in seconds of any steady clock.

        Raises GapError, and BusError when the bus does not answer.
        """
        messages = await self._bus.read(self._stream, position.sequence + 1, limit=limit)
        expected = position.sequence + 1
        for message in messages:
            if message.sequence != expected and not self._accept:
                raise missing_messages(self._stream, expected - 1, message.sequence)
            expected = message.sequence + 1
        if messages:
            self._looked = now
        elif now - self._looked >= LOOK_SECONDS:
            resume(self._stream, position, await self._kept(), needed_from=self._needed_from, accept=False)
            self._looked = now
        return messages

    async def behind(self, position: StreamPosition) -> int:
        """Return how many messages are still to be read."""
        return max(0, (await self._bus.stream_state(self._stream)).last - position.sequence)

    async def _kept(self, taken: int = 0) -> StreamBounds:
        state = await self._bus.stream_state(self._stream)
        oldest = await self._stored(state, state.first)
        return StreamBounds(state.created, state.first, state.last, oldest, await self._stored(state, taken))

    async def _stored(self, state: StreamState, sequence: int) -> float | None:
        """When the message of exactly this sequence was stored, None when it is not there."""
        if not 0 < state.first <= sequence <= state.last:
            return None
        found = await self._bus.read(self._stream, sequence, limit=1)
        return found[0].time if found and found[0].sequence == sequence else None
