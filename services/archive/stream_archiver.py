"""Reads one stream in order and writes its rows to the dataset in segments (docs/archive.md §2)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from math import inf
from typing import Final

from services.archive.metrics import ArchiveMetrics
from services.archive.saved_positions import gap_before, gap_of, whole_position
from services.archive.stream_kinds import StreamKind
from services.archive.waiting_rows import WaitingRows
from services.core.bus import StoredMessage, StreamCursor
from services.core.errors import StateError
from services.core.log import Logger
from services.core.malloc import trim_memory
from services.core.model import StreamPosition
from services.core.tasks import run_in_thread
from services.dataset.days import (
    EvidenceDays,
    SealedDay,
    SealedMessages,
    Segment,
    check_counts,
    counted,
    damaged_segments,
    drop_uncommitted,
    set_aside,
)
from services.dataset.positions import ArchivedUpTo, MissingMessages, SegmentCount, write_position
from services.dataset.storage import Storage

_MESSAGES: Final = 500
_SEGMENT_ROWS: Final = 100_000
"""The most rows that are kept in memory: some 15 MB."""


class StreamArchiver:
    """Archives one stream. Rows wait in memory until there are many, or until ``segment_seconds`` have passed."""

    def __init__(
        self,
        storage: Storage,
        what: StreamKind,
        *,
        segment_seconds: float,
        metrics: ArchiveMetrics,
        log: Logger,
    ) -> None:
        self.what = what
        self._storage = storage
        self._segment_seconds = segment_seconds
        self._metrics = metrics
        self._log = log
        self._moving = asyncio.Lock()  # the position, which the tasks of reading and of sealing both write
        self._archived: ArchivedUpTo | None = None
        self._segments: Mapping[str, SegmentCount] = {}
        self._sealed = SealedMessages()
        self._refused = False
        self._read: StreamPosition | None = None
        self._waiting = WaitingRows(what, metrics, log)
        self._generation = 0
        self._gaps: tuple[MissingMessages, ...] = ()
        self._doubtful = False
        self._last_stored = 0.0

    @property
    def complete_up_to(self) -> float:
        """The moment up to which all messages of the stream are in the dataset (epoch seconds); 0 while in doubt."""
        return self._archived.stored if self._archived and not self._doubtful else 0.0

    @property
    def created(self) -> str:
        """When the stream was created, as the server writes it."""
        return self._archived.created if self._archived else ""

    def doubt(self) -> None:
        """Note that a segment is damaged: the next ``resume`` checks all segments and reads from the stream again."""
        self._doubtful = True

    @property
    def must_resume(self) -> bool:
        """Whether ``resume`` must be called before more messages are read."""
        return self._archived is None or self._doubtful

    async def resume(self, cursor: StreamCursor) -> None:
        """Continue from the position in the dataset. Raises GapError, BusError and StateError."""
        async with self._moving:
            read = partial(whole_position, self._storage, self.what.kinds, all_segments=self._doubtful)
            saved, whole, damaged = await run_in_thread(read)
            former = StreamPosition(whole.stream, whole.created, whole.sequence) if whole else None
            anew = await cursor.begun_anew(former) if former else None
            at = anew[0] if anew else await cursor.resume(former, stored=(whole and whole.stored) or inf)
            taken = whole.sequence if whole else 0
            again = anew is not None or at.sequence < taken
            missing = again or at.sequence > taken
            until = await cursor.time_after(at) if missing else 0.0
            if whole is not None and damaged:
                self._log.error("segments_damaged", segments=damaged, reading_from=taken + 1)
                await run_in_thread(partial(write_position, self._storage, self.what.kind, whole))
            kept = at.sequence if whole else 0
            # If a gap was accepted, the stream may give numbers again that the dataset has. The rows that count stay.
            self._segments = whole.segments if whole and not again else {}
            self._generation = (whole.generation if whole else 0) + again
            self._set_gaps(whole.gaps if whole else ())
            drop = partial(drop_uncommitted, self._storage)
            for kind in self.what.kinds:
                if again and saved:  # a crash may have left rows of the former stream without their batches
                    await run_in_thread(partial(drop, kind, saved.sequence, saved.generation))
                await run_in_thread(partial(drop, kind, kept, self._generation))
            self._read, self._last_stored = at, whole.stored if whole else 0.0
            lost: Sequence[Segment] = ()
            if saved and whole and (missing or (self._doubtful and cursor.accept)):
                lost = await run_in_thread(partial(damaged_segments, self._storage, self.what.kinds))
            if saved and whole and lost:
                taken = saved.sequence
                self._note_gap(gap_of(lost, whole, saved, at.sequence))
            if again or at.sequence > taken:
                self._note_gap(gap_before(at, until, saved if lost else whole))
            if lost:
                await self._give_up(lost, at)
            self._archived = self._position(at)
            self._waiting.clear()
            self._doubtful = False

    async def _give_up(self, lost: Sequence[Segment], at: StreamPosition) -> None:
        """Set aside damaged segments whose messages no stream has, now that the gap is accepted and noted."""
        self._log.error("segments_given_up", segments=[one.name for one in lost])
        await run_in_thread(partial(write_position, self._storage, self.what.kind, self._position(at)))
        await run_in_thread(partial(set_aside, self._storage, lost))

    async def take(self, cursor: StreamCursor, days: EvidenceDays) -> bool:
        """Read the next messages, and write a segment when one is due; return whether more may be ready at once.

        Raises GapError and BusError, and StateError when the dataset cannot be written. The rows stay in memory then,
        and the next call tries again.
        """
        assert self._read is not None
        messages: list[StoredMessage] = []
        if self._waiting.count < _SEGMENT_ROWS:
            messages = await cursor.read(self._read, limit=_MESSAGES, now=time.monotonic())
            self._keep(messages)
        if self._waiting.count >= _SEGMENT_ROWS or (self._waiting and self._waiting.age >= self._segment_seconds):
            await self.write(days)
            await run_in_thread(trim_memory)
        if not messages and not self._waiting:
            await self._note_silence(cursor)
        return len(messages) == _MESSAGES

    async def write(self, days: EvidenceDays) -> None:
        """Write the rows in memory, if there are any, and move the position. Raises StateError.

        In doubt, nothing is written: the position has moved back, and the rows are read again from there.
        """
        async with self._moving:
            if self.must_resume:
                return
            assert self._read is not None
            assert self._archived is not None
            if not self._waiting:
                return
            first = self._archived.sequence + 1
            try:
                self._archived = await run_in_thread(partial(self._write, first, self._position(self._read), days))
            except StateError:
                self._refused = True
                raise
            self._segments, self._refused = self._archived.segments, False
            self._metrics.wrote(self.what.kind.name, self._waiting.count, self._archived.stored)
            self._waiting.clear()

    def _write(self, first: int, archived: ArchivedUpTo, days: EvidenceDays) -> ArchivedUpTo:
        """Write the rows of messages ``first`` up to a position, and the position. Return it with their segments."""
        written = self._waiting.write(self._storage, first, archived, days, self._sealed, again=self._refused)
        moved = replace(archived, segments=self._open(counted(written, archived.segments)))
        write_position(self._storage, self.what.kind, moved)
        return moved

    async def check(self) -> None:
        """Raise DamagedSegmentError when a segment of a day that is not sealed is missing, and StateError."""
        async with self._moving:
            if self._archived is not None:
                archived = replace(self._archived, segments=self._open(self._segments))
                await run_in_thread(partial(check_counts, self._storage, self.what.kinds, archived))

    async def record(self, due: Sequence[str]) -> None:
        """Record how far the stream is in the dataset, silence included, without the segments of ``due`` days.

        These days may be sealed afterwards: no message that is read later belongs to them, whatever the stream's clock
        or a later policy says. Raises StateError.
        """
        async with self._moving:
            self._seal(dict.fromkeys(due, self._archived.sequence if self._archived else 0))
            if self._archived is not None and self._archived.created:
                archived = self._archived = replace(self._archived, segments=self._open(self._segments))
                await run_in_thread(lambda: write_position(self._storage, self.what.kind, archived))

    def missing(self, since: float, until: float) -> list[str]:
        """Return a sentence for each gap whose messages may have been stored between two moments (epoch seconds)."""
        found = (gap for gap in self._gaps if since <= gap.until and gap.since <= until)
        return [gap.sentence(self.what.kind.stream) for gap in found]

    def note_sealed(self, days: Sequence[SealedDay]) -> None:
        """Note which days are sealed, and forget the gaps before the end of the last one."""
        mine = self.what.kind.stream, self.created
        last = {one.day: span.last for one in days for span in one.streams if (span.stream, span.created) == mine}
        self._seal({one.day: last.get(one.day, 0) for one in days})
        self._set_gaps(tuple(gap for gap in self._gaps if not days or gap.until >= days[-1].end))

    def _seal(self, messages: Mapping[str, int]) -> None:
        last = max((self._sealed.last, *messages))
        self._sealed = SealedMessages(last, {**self._sealed.messages, **messages})

    def _set_gaps(self, gaps: tuple[MissingMessages, ...]) -> None:
        self._gaps = gaps
        self._metrics.missing(self.what.kind.name, sum(gap.count for gap in gaps))

    def _note_gap(self, gap: MissingMessages) -> None:
        self._set_gaps((*self._gaps, gap))
        stream = self.what.kind.stream
        self._log.warning("messages_missing", stream=stream, reason=gap.sentence(stream))

    def _keep(self, messages: list[StoredMessage]) -> None:
        if not messages:
            return
        assert self._read is not None
        stored: list[float] = []
        taken = self._read.sequence
        for message in messages:
            # A stream's clock may step back. The latest time holds then, as in the scorer.
            moment = max(self._last_stored, message.time)
            if message.sequence != taken + 1:
                self._note_gap(MissingMessages(taken + 1, message.sequence - 1, self._last_stored or moment, moment))
            taken, self._last_stored = message.sequence, moment
            stored.append(moment)
        self._waiting.add(messages, stored)
        self._read = replace(self._read, sequence=taken)

    async def _note_silence(self, cursor: StreamCursor) -> None:
        """Note that everything up to now is in the dataset, or gone, if the stream has no more messages."""
        assert self._read is not None
        end = await cursor.end(self._read)
        if end is None:
            return
        at, now = end
        moment = max(self._last_stored, now)
        if at.sequence > self._read.sequence:
            self._note_gap(MissingMessages(self._read.sequence + 1, at.sequence, self._last_stored or moment, moment))
        self._read, self._last_stored = at, moment
        self._archived = self._position(at)
        self._metrics.caught_up(self.what.kind.name, moment)

    def _position(self, read: StreamPosition) -> ArchivedUpTo:
        segments = self._open(self._segments)
        return ArchivedUpTo(
            read.stream, read.created, read.sequence, self._last_stored, self._generation, self._gaps, segments
        )

    def _open(self, segments: Mapping[str, SegmentCount]) -> Mapping[str, SegmentCount]:
        """Return those of days that are neither sealed nor about to be."""
        return {group: count for group, count in segments.items() if group.rpartition("/")[2] > self._sealed.last}
