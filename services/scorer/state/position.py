"""Whether reading can go on where it stopped, or messages in between are gone (docs/design.md §6)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from services.core.errors import GapError

__all__ = ["StreamBounds", "StreamPosition", "missing_messages", "resume"]

_REMEDY = "re-score that time offline, then start once with --accept-gap yes: what is gone stays unknown"


@dataclass(frozen=True, slots=True)
class StreamPosition:
    """How far a stream has been taken in: its name, when it was created, the last sequence."""

    stream: str
    created: str
    sequence: int


@dataclass(frozen=True, slots=True)
class StreamBounds:
    """What a stream holds: when it was created, its first and last sequence, and when the first was stored (epoch
    seconds, None when it is empty).

    ``taken`` is when the message at the position to read on from was stored, None when it is not there or not asked for.
    """

    created: str
    first: int
    last: int
    oldest: float | None
    taken: float | None = None

    @property
    def restored(self) -> bool:
        """Whether the message at the position came with a backup: it was stored before the stream was created."""
        return self.taken is not None and self.taken < datetime.fromisoformat(self.created).timestamp()


def resume(
    stream: str, position: StreamPosition | None, kept: StreamBounds, *, needed_from: float, accept: bool
) -> StreamPosition:
    """Return the position to read on from.

    Without a position nothing has been taken in, so every message counts from sequence 1. Messages that are gone are
    harmless in one case only: they were stored before ``needed_from`` (epoch seconds), so all they can name are slots
    before the policy's epoch, which no window holds. A stream put back from a backup is created anew, and the same up to
    the position when it holds the message there. With ``accept`` any gap is passed over. Taking messages in again
    changes nothing, so wherever in doubt reading begins at the first message kept.

    Raises GapError.
    """
    start = StreamPosition(stream, kept.created, max(kept.first, 1) - 1)
    if position is not None and position.created != kept.created and not kept.restored:
        if accept:
            return start
        raise GapError(
            f"stream {stream} was created anew at {kept.created}, after the scorer had taken in messages up to "
            f"{position.sequence} of the one created at {position.created}; what came after them is gone: {_REMEDY}"
        )
    taken = position.sequence if position is not None else 0
    if kept.last < taken:
        if accept:
            return start
        raise GapError(
            f"stream {stream} ends at message {kept.last}, but the scorer had taken in messages up to {taken}: the bus "
            f"has lost its latest messages and numbers new ones like them: {_REMEDY}"
        )
    if kept.first <= taken + 1:
        return StreamPosition(stream, kept.created, taken)
    if accept or (kept.oldest is not None and kept.oldest <= needed_from):
        return start
    raise GapError(f"messages {taken + 1} to {kept.first - 1} of stream {stream} are gone, not taken in: {_REMEDY}")


def missing_messages(stream: str, taken: int, found: int) -> GapError:
    """Return the error for messages missing between two that are there."""
    return GapError(f"messages {taken + 1} to {found - 1} of stream {stream} are gone, not taken in: {_REMEDY}")
