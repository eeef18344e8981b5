"""Decides whether reading a stream can resume where it stopped, or messages are missing (docs/design.md §6). Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from math import inf

from services.core.errors import GapError
from services.core.model import StreamPosition

_TIME_ERROR = 1e-3  # seconds; more than a stored time loses as a float
_REMEDY = "start once with --accept-gap yes to go on without them: what is gone stays unknown"


@dataclass(frozen=True, slots=True)
class StreamBounds:
    """The bounds of a stream: when it was created, and its first and last sequence.

    ``oldest`` is when the first message was stored (epoch seconds), None when the stream is empty. ``taken`` is when
    the message at the position to resume from was stored, None when it does not exist or was not read.
    """

    created: str
    first: int
    last: int
    oldest: float | None
    taken: float | None = None

    @property
    def restored(self) -> bool:
        """Whether the message at the position comes from a backup: it was stored before the stream was created."""
        return self.taken is not None and self.taken < datetime.fromisoformat(self.created).timestamp()

    def replaces(self, position: StreamPosition) -> bool:
        """Whether this is another stream than that of the position: recreated, and not restored from a backup."""
        return self.created != position.created and not self.restored


def resume(
    stream: str,
    position: StreamPosition | None,
    bounds: StreamBounds,
    *,
    needed_from: float,
    accept: bool,
    stored: float = inf,
) -> StreamPosition:
    """Return the position to resume from. Raises GapError.

    No message up to the position was stored after ``stored`` (epoch seconds; inf if unknown). Without a position nothing
    has been read, and every message from sequence 1 on counts. Missing messages are harmless
    in one case only: they were stored before ``needed_from`` (epoch seconds), so they can name only slots before the
    policy's epoch, which no window holds. Restoring a stream from a backup recreates it; it is the same stream up to
    the position if it holds the message there. With ``accept`` any gap is accepted. Reading messages again changes
    nothing, so in doubt reading begins at the first message.
    """
    start = StreamPosition(stream, bounds.created, max(bounds.first, 1) - 1)
    if position is not None and bounds.replaces(position):
        if accept:
            return start
        raise GapError(
            f"stream {stream} was created anew at {bounds.created}, after messages up to {position.sequence} of "
            f"the one created at {position.created} were taken in; what came after them is gone: {_REMEDY}"
        )
    taken = position.sequence if position is not None else 0
    if bounds.last < taken:
        if accept:
            return start
        raise GapError(
            f"stream {stream} ends at message {bounds.last}, but messages up to {taken} were taken in: the bus "
            f"has lost its latest messages and numbers new ones like them: {_REMEDY}"
        )
    if is_later(bounds.taken, stored):
        if accept:
            return start
        raise another_message(stream, taken)
    if bounds.first <= taken + 1:
        return StreamPosition(stream, bounds.created, taken)
    if accept or (bounds.oldest is not None and bounds.oldest <= needed_from):
        return start
    raise missing_messages(stream, taken, bounds.first)


def is_later(stored: float | None, newest: float) -> bool:
    """Return whether the message at a position was stored after the newest one taken in, and so is another one.

    A stream that was restored from a backup and has grown since gives numbers again. Both are in epoch seconds; None if there
    is no message at the position.
    """
    return stored is not None and stored > newest + _TIME_ERROR


def another_message(stream: str, sequence: int) -> GapError:
    """Return the error for a stream whose message of a sequence is not the one taken in."""
    return GapError(
        f"stream {stream} has another message {sequence} than the one taken in: the bus has lost its latest messages "
        f"and numbers new ones like them: {_REMEDY}"
    )


def missing_messages(stream: str, taken: int, following: int) -> GapError:
    """Return the error for messages that are missing between two others."""
    return GapError(f"messages {taken + 1} to {following - 1} of stream {stream} are gone, not taken in: {_REMEDY}")
