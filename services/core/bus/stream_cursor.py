"""Reads a stream in order from a position, and notices missing messages (docs/design.md §6)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from math import inf

from services.core.bus.buckets import Bus
from services.core.bus.messages import StoredMessage, StreamState, moment_of
from services.core.bus.position import StreamBounds, another_message, is_later, missing_messages, resume
from services.core.errors import BusError
from services.core.log import logger
from services.core.model import StreamPosition

CHECK_SECONDS = 5.0
"""How often to check that a stream is still the same one; this is also checked after every failed read."""


@dataclass(eq=False)
class StreamCursor:
    """Reads one stream in order. Raises GapError when the stream was recreated or lost messages.

    Up to ``pass_deleted`` messages in a row are skipped as soon as the server says that they were deleted.
    """

    bus: Bus
    stream: str
    needed_from: float
    accept: bool
    pass_deleted: int = 0
    gaps_accepted: int = field(default=0, init=False)
    _checked: float = field(default=0.0, init=False)
    _newest: tuple[int, float] = field(default=(0, inf), init=False)  # the last message read, and when it was stored

    async def resume(
        self, position: StreamPosition | None, *, stored: float = inf, accept: bool = False
    ) -> StreamPosition:
        """Return the position to resume from; ``accept`` any gap.

        No message up to the position was stored after ``stored`` (epoch seconds; inf if unknown). Raises GapError, and
        BusError when the bus does not answer.
        """
        bounds = await self._bounds(position.sequence if position else 0)
        return self._resume(position, bounds, accept=accept or self.accept, stored=stored)

    async def begun_anew(self, position: StreamPosition) -> tuple[StreamPosition, float] | None:
        """Return where the stream begins, and when it was created (epoch seconds), if that was after the position.

        None for the same stream, and for one that was restored from a backup. Raises GapError unless gaps are accepted,
        and BusError when the bus does not answer.
        """
        bounds = await self._bounds(position.sequence)
        if not bounds.replaces(position):
            return None
        return self._resume(position, bounds, accept=self.accept), moment_of(bounds.created)

    def _resume(
        self, position: StreamPosition | None, bounds: StreamBounds, *, accept: bool, stored: float = inf
    ) -> StreamPosition:
        start = resume(self.stream, position, bounds, needed_from=self.needed_from, accept=accept, stored=stored)
        # The messages of a recreated stream may be gone up to the same number.
        replaced = position is not None and bounds.replaces(position)
        if replaced or start.sequence != (position.sequence if position else 0):
            logger().warning("gap_passed_over", stream=self.stream, reading_from=start.sequence + 1)
            self.gaps_accepted += self.accept  # without it the missing messages are older than the epoch, and harmless
        return start

    async def has_next(self, position: StreamPosition) -> bool:
        """Return whether the message after the position is still there or not stored yet. Raises BusError."""
        return (await self.bus.stream_state(self.stream)).first <= position.sequence + 1

    async def start_of(self, moment: float) -> StreamPosition | None:
        """Return the position before all messages stored since a moment (epoch seconds); None if some may be gone.

        Raises BusError when the bus does not answer.
        """
        state = await self.bus.stream_state(self.stream)
        oldest = await self._stored(state, state.first)
        first = state.first
        if oldest is not None and oldest <= moment:
            messages = await self.bus.read(self.stream, 1, limit=1, since=datetime.fromtimestamp(moment, UTC))
            first = messages[0].sequence if messages else state.last + 1
        elif first > 1:
            return None
        return StreamPosition(self.stream, state.created, first - 1)

    async def read(self, position: StreamPosition, *, limit: int, now: float) -> list[StoredMessage]:
        """Return the messages that follow ``position``, at most ``limit``; ``now`` is in seconds of a monotonic clock.

        Raises GapError, and BusError when the bus does not answer.
        """
        try:
            if now - self._checked >= CHECK_SECONDS:
                await self._check(position)
                self._checked = now
            messages = await self.bus.read(self.stream, position.sequence + 1, limit=limit)
        except BusError:
            self._checked = -inf
            raise
        expected = position.sequence + 1
        for message in messages:
            if message.sequence != expected:
                if not self.accept and not await self._were_deleted(expected, message.sequence - 1):
                    raise missing_messages(self.stream, expected - 1, message.sequence)
                self.gaps_accepted += self.accept
            expected = message.sequence + 1
            self._newest = message.sequence, message.time
        return messages

    async def end(self, position: StreamPosition) -> tuple[StreamPosition, float] | None:
        """Return where the stream ends, and the server's time, if it has no message after the position; else None.

        Messages that are gone are passed over as in ``read``. Raises GapError, and BusError when there is no answer.
        """
        state, first = await self.bus.stream_state(self.stream), position.sequence + 1
        if state.created != position.created or state.last < position.sequence:
            return None  # the next check of ``read`` says why
        if state.last >= first:
            left = max(first, state.first)
            if left <= state.last and not await self.bus.were_deleted(self.stream, left, state.last, or_lost=True):
                return None
            if not self.accept and not await self._were_deleted(first, state.last):
                raise missing_messages(self.stream, position.sequence, state.last + 1)
            self.gaps_accepted += self.accept
        return replace(position, sequence=state.last), state.now

    async def time_after(self, position: StreamPosition) -> float:
        """Return when the message after the position was stored, or the server's time if there is none.

        Raises BusError when the bus does not answer.
        """
        state = await self.bus.stream_state(self.stream)
        following = await self._stored(state, position.sequence + 1)
        return state.now if following is None else following

    async def behind(self, position: StreamPosition) -> int:
        """Return how many messages are still to be read."""
        return max(0, (await self.bus.stream_state(self.stream)).last - position.sequence)

    async def _check(self, position: StreamPosition) -> None:
        """Raise GapError when the stream is no longer the one that was read, and BusError when there is no answer."""
        state = await self.bus.stream_state(self.stream)
        # If it is the same stream with more to read, sequences show missing messages.
        if state.created != position.created or state.last < position.sequence:
            resume(self.stream, position, await self._bounds(), needed_from=self.needed_from, accept=False)
        sequence, stored = self._newest
        # While the bus was away, a backup may have been restored that has grown since.
        if (
            self._checked == -inf
            and sequence == position.sequence
            and is_later(await self._stored(state, sequence), stored)
        ):
            raise another_message(self.stream, sequence)

    async def _were_deleted(self, first: int, last: int) -> bool:
        return last - first < self.pass_deleted and await self.bus.were_deleted(self.stream, first, last)

    async def _bounds(self, taken: int = 0) -> StreamBounds:
        state = await self.bus.stream_state(self.stream)
        oldest = await self._stored(state, state.first)
        return StreamBounds(state.created, state.first, state.last, oldest, await self._stored(state, taken))

    async def _stored(self, state: StreamState, sequence: int) -> float | None:
        """Return when the message with exactly this sequence was stored; None when it does not exist."""
        if not 0 < state.first <= sequence <= state.last:
            return None
        messages = await self.bus.read(self.stream, sequence, limit=1)
        return messages[0].time if messages and messages[0].sequence == sequence else None
