"""Segments: the evidence of days that are not sealed yet, as it was read from the bus (docs/archive.md §2)."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from services.core.errors import StateError
from services.core.files import DAMAGED
from services.dataset.days.days import EvidenceDays, SealedMessages
from services.dataset.positions import ArchivedUpTo, MissingMessages, SegmentCount
from services.dataset.storage import BadSectorError, Storage
from services.dataset.tables import MICROS, Kind, read, sorted_rows, write

_NAME: Final = re.compile(
    r"open/(?P<late>late/)?(?P<kind>\w+)/(?P<day>\d{4}-\d\d-\d\d)/(?P<first>\d+)-(?P<last>\d+)"
    r"(-(?P<generation>\d+))?\.parquet"
)


class DamagedSegmentError(StateError):
    """The content of a segment is not what was written."""


@dataclass(frozen=True, slots=True)
class Segment:
    """One file of rows of one day that came with messages ``first`` to ``last`` of the stream.

    ``late`` rows are of slots whose grace had passed, or that were yet to come; their day is the one on which the
    stream stored them. ``generation`` counts how often the stream began again with numbers that it had given before.
    """

    kind: str
    day: str
    first: int
    last: int
    late: bool = False
    generation: int = 0

    @property
    def name(self) -> str:
        """Its name in the storage."""
        again = f"-{self.generation}" if self.generation else ""
        return f"open/{self.group}/{self.first:012}-{self.last:012}{again}.parquet"

    @property
    def group(self) -> str:
        """The folder of its kind and day."""
        return f"{'late/' * self.late}{self.kind}/{self.day}"


def list_segments(storage: Storage, kind: Kind) -> list[Segment]:
    """Return the segments of a kind, by day and position."""
    names = (*storage.names(f"open/{kind.name}"), *storage.names(f"open/late/{kind.name}"))
    segments = (
        Segment(m["kind"], m["day"], int(m["first"]), int(m["last"]), bool(m["late"]), int(m["generation"] or 0))
        for m in filter(None, map(_NAME.fullmatch, names))
    )
    return sorted(segments, key=lambda segment: (segment.day, segment.late, segment.generation, segment.first))


def write_segments(
    storage: Storage,
    kind: Kind,
    tables: Iterable[pa.Table],
    first: int,
    last: int,
    days: EvidenceDays,
    generation: int = 0,
    sealed: SealedMessages = SealedMessages(),  # noqa: B008  # a value
) -> list[Segment]:
    """Write the rows of messages ``first`` to ``last``, a segment for each day; all are durable on return.

    Rows that their sealed day does not have become late rows of a day that is not sealed. Rows of messages from
    ``first`` on that an earlier run wrote and did not commit are written again.
    """
    table = sorted_rows(list(tables), kind)
    written = []
    for (late, day), places in _by_day(table, kind, days, sealed).items():
        segment = Segment(kind.name, day, first, last, late, generation)
        rows = table if len(places) == table.num_rows else table.take(pa.array(places))
        storage.write(segment.name, write(rows, kind, checksums=True))
        written.append(segment)
    return written


def drop_uncommitted(storage: Storage, kind: Kind, position: int, generation: int = 0) -> None:
    """Remove segments with messages after ``position``. A crash came before they counted; they will be read again."""
    for segment in list_segments(storage, kind):
        if (segment.generation, segment.last) > (generation, position):
            storage.remove(segment.name)


def damaged_segments(storage: Storage, kinds: Iterable[Kind]) -> list[Segment]:
    """Return the segments, of whatever generation, that cannot be read, or repeat messages of one that can.

    Raises StateError when the storage cannot be read.
    """
    damaged = []
    for kind in kinds:
        whole = []
        for segment in list_segments(storage, kind):
            try:
                list(read_segments(storage, kind, [segment]))
            except DamagedSegmentError:
                damaged.append(segment)
            else:
                whole.append(segment)
        damaged += [later for _, later in _overlapping(whole)]
    return damaged


def set_aside(storage: Storage, segments: Iterable[Segment]) -> None:
    """Rename damaged segments that can be read; they stay beside the others to be examined. Remove those that cannot.

    Raises StateError.
    """
    for segment in segments:
        with suppress(BadSectorError):
            storage.write(segment.name + DAMAGED, storage.read(segment.name))
        storage.remove(segment.name)


def counted(
    segments: Iterable[Segment], before: Mapping[str, SegmentCount] = MappingProxyType({})
) -> dict[str, SegmentCount]:
    """Return how many segments each group has, with these added to those that it had ``before``."""
    found = dict(before)
    for segment in segments:
        former = found.get(segment.group, SegmentCount(segment.first, 0))
        found[segment.group] = SegmentCount(min(former.first, segment.first), former.count + 1)
    return found


def seems_whole(storage: Storage, kinds: Iterable[Kind], archived: ArchivedUpTo, *, newest: int) -> bool:
    """Return whether no segment of its generation is missing or overlaps another, and the ``newest`` of each kind can be read.

    Raises StateError when the storage cannot be read.
    """
    there = Counter[str]()
    for kind in kinds:
        committed = sorted(_committed(storage, kind, archived), key=lambda segment: segment.last)
        if _overlapping(committed):
            return False
        there.update(segment.group for segment in committed)
        try:
            for segment in committed[-newest:]:
                list(read_segments(storage, kind, [segment]))
        except DamagedSegmentError:
            return False
    return not _incomplete(there, archived)


def check_counts(storage: Storage, kinds: Iterable[Kind], archived: ArchivedUpTo) -> None:
    """Raise DamagedSegmentError when segments that a position counts are missing, and StateError when it cannot tell."""
    there = Counter(segment.group for kind in kinds for segment in _committed(storage, kind, archived))
    if missing := _incomplete(there, archived):
        groups = ", ".join(group for _, group in missing)
        raise DamagedSegmentError(f"segments are gone from {storage.address} and are read again: {groups}")


def before_damage(
    storage: Storage, kinds: Iterable[Kind], archived: ArchivedUpTo
) -> tuple[ArchivedUpTo, tuple[str, ...]]:
    """Return the position before the first segment of its generation that cannot be read, and the names of all such segments.

    A group that lacks a segment counts as damaged as a whole, since nothing says which one is missing. Segments that hold
    the same messages, which two archives wrote, count as damaged too. The stream may still have the messages. Raises
    StateError when the storage cannot be read.
    """
    damaged: list[tuple[int, str]] = []
    whole: list[tuple[Segment, float]] = []
    committed = [segment for kind in kinds for segment in _committed(storage, kind, archived)]
    for kind in kinds:
        for segment in (one for one in committed if one.kind == kind.name):
            try:
                (table,) = read_segments(storage, kind, [segment])
            except DamagedSegmentError:
                damaged.append((segment.first, segment.name))
            else:
                newest = pc.max(table["stored"].cast(pa.int64())).as_py()
                whole.append((segment, 0.0 if newest is None else newest / MICROS))
    there = Counter(segment.group for segment, _ in whole)
    there.update(name.removeprefix("open/").rpartition("/")[0] for _, name in damaged)
    damaged += _incomplete(there, archived)
    damaged += dict.fromkeys((one.first, one.name) for pair in _overlapping(committed) for one in pair)
    if not damaged:
        return archived, ()
    kept = min(first for first, _ in damaged) - 1
    while split := [segment.first for segment in committed if segment.first <= kept < segment.last]:
        kept = min(split) - 1  # another archive wrote it: it is read again as a whole
    left = [(segment, moment) for segment, moment in whole if segment.last <= kept]
    stored = max((moment for _, moment in left), default=0.0)
    segments = counted(segment for segment, _ in left)
    left_off = replace(
        archived, sequence=kept, stored=stored, segments=segments, gaps=_gaps_before(archived.gaps, kept)
    )
    return left_off, tuple(name for _, name in damaged)


def _gaps_before(gaps: Sequence[MissingMessages], kept: int) -> tuple[MissingMessages, ...]:
    """Return the gaps that are not found again by reading after the message ``kept``.

    Those from before the stream began again, which a gap without a last number marks, have numbers of their own.
    """
    former = max((place for place, gap in enumerate(gaps, 1) if not gap.last), default=0)
    return tuple(dict.fromkeys((*gaps[:former], *(gap for gap in gaps[former:] if gap.first <= kept))))


def _incomplete(there: Counter[str], archived: ArchivedUpTo) -> list[tuple[int, str]]:
    """Return for each group that lacks segments the first message of the group, and how many are missing."""
    return [
        (written.first, f"open/{group}, where {written.count - there[group]} of {written.count} are missing")
        for group, written in archived.segments.items()
        if there[group] < written.count
    ]


def _committed(storage: Storage, kind: Kind, archived: ArchivedUpTo) -> list[Segment]:
    """Return the segments of its generation up to a position."""
    return [
        segment
        for segment in list_segments(storage, kind)
        if segment.generation == archived.generation and segment.last <= archived.sequence
    ]


def read_segments(storage: Storage, kind: Kind, segments: Sequence[Segment]) -> Iterator[pa.Table]:
    """Yield the rows of each segment, in the order of their messages. Raises StateError when one is damaged, or two overlap."""
    in_order = sorted(segments, key=lambda segment: (segment.generation, segment.first))
    for former, later in _overlapping(segments):
        raise StateError(
            f"{later.name} and {former.name} in {storage.address} hold the same messages, as two archives write them: end one, "
            "and start the other again"
        )
    for segment in in_order:
        try:
            yield read(storage.read(segment.name), kind)
        except (ValueError, BadSectorError) as error:
            raise DamagedSegmentError(f"{segment.name} in {storage.address} is damaged: {error}") from error


def _overlapping(segments: Iterable[Segment]) -> list[tuple[Segment, Segment]]:
    """Return each segment that repeats messages of its group, after the one that has them and does not repeat any."""
    found, kept = [], dict[tuple[str, int], Segment]()
    for segment in sorted(segments, key=lambda one: (one.first, one.last)):
        place = segment.group, segment.generation
        former = kept.get(place)
        if former is not None and segment.first <= former.last:
            found.append((former, segment))
        else:
            kept[place] = segment
    return found


def _by_day(
    table: pa.Table, kind: Kind, days: EvidenceDays, sealed: SealedMessages
) -> Mapping[tuple[bool, str], list[int]]:
    """Return the places of the rows of each day, late rows separately."""
    moments, stored = (table[name].cast(pa.int64()).to_numpy() / MICROS for name in (kind.dated, "stored"))
    sequences = table["sequence"].to_numpy()
    places: dict[tuple[bool, str], list[int]] = defaultdict(list)
    for place, (moment, since, sequence) in enumerate(
        zip(moments.tolist(), stored.tolist(), sequences.tolist(), strict=True)
    ):
        late, day = days.place(int(moment), since, slotted=kind.slotted)
        if sealed.misses(day, sequence):
            late, day = True, sealed.following(days.day_of(since))
        places[late, day].append(place)
    return {day: places[day] for day in sorted(places)}
