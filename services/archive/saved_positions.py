"""Reads how far a stream is in the dataset without damage, and which gap damage leaves (docs/archive.md §2)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from services.core.model import StreamPosition
from services.dataset.days import Segment, before_damage, seems_whole
from services.dataset.positions import ArchivedUpTo, MissingMessages, read_position
from services.dataset.storage import Storage
from services.dataset.tables import Kind

READ_AT_START: Final = 60
"""The number of newest segments of a kind that are read at startup: those of an hour, which a crash may have torn.
Each takes one request to an object store. Later decay is noticed when the day is sealed.
"""


def whole_position(
    storage: Storage, kinds: Sequence[Kind], *, all_segments: bool
) -> tuple[ArchivedUpTo | None, ArchivedUpTo | None, tuple[str, ...]]:
    """Return the saved position of the first kind, the one before any damage, and what is damaged. Raises StateError.

    Without ``all_segments``, all are read only if one of the newest is damaged, or one is missing.
    """
    saved = read_position(storage, kinds[0])
    if saved is None or (not all_segments and seems_whole(storage, kinds, saved, newest=READ_AT_START)):
        return saved, saved, ()
    return saved, *before_damage(storage, kinds, saved)


def gap_of(lost: Sequence[Segment], whole: ArchivedUpTo, saved: ArchivedUpTo, following: int) -> MissingMessages:
    """Return the gap that damaged segments leave between the ``whole`` position and the ``saved`` one.

    It ends where reading goes on. If that is not later, the segments are of a former stream, and the gap is theirs.
    """
    day = datetime.fromisoformat(min(segment.day for segment in lost)).replace(tzinfo=UTC) - timedelta(days=1)
    since = min(whole.stored or day.timestamp(), saved.stored)
    first, last = whole.sequence + 1, min(following, saved.sequence)
    if first > last:
        first, last = min(segment.first for segment in lost), max(segment.last for segment in lost)
    return MissingMessages(first, last, since, saved.stored)


def gap_before(at: StreamPosition, until: float, taken: ArchivedUpTo | None) -> MissingMessages:
    """Return the gap between what was ``taken`` in and the position from which reading goes on.

    The next message is of ``until``. If nothing was taken in, the gap begins when the stream was created.
    """
    sequence, stored = (taken.sequence, taken.stored) if taken else (0, 0.0)
    same = taken is None or taken.created == at.created
    last = at.sequence if same and at.sequence > sequence else 0  # unknown where the stream begins again
    until = max(until, stored)
    since = stored or min(datetime.fromisoformat(at.created).timestamp(), until)
    return MissingMessages(sequence + 1, last, since, until)
