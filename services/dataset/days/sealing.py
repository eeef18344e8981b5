"""Seals a day: its evidence in sorted files, named by a manifest that the log signs (docs/archive.md §3)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from zlib import crc32

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from services.dataset.days.days import EvidenceDays
from services.dataset.days.history import LogFiles, manifests
from services.dataset.days.manifest import Manifest, SealedFile, StreamSpan
from services.dataset.days.segments import Segment, list_segments, read_segments
from services.dataset.log import Checkpoint, SigningKey
from services.dataset.storage import Storage
from services.dataset.tables import LINK_DAY, MEASUREMENT, STREAM_KINDS, Kind, content_hash, sorted_rows, write

_SHARDS: Final = 16
_ROWS_OF_ONE_FILE: Final = 1 << 20
"""More rows are cut into shards, so that a reader of some links reads a part, and no file is large."""


@dataclass(frozen=True, slots=True)
class SealingContext:
    """What a manifest says beside its files: the registers in force, when each stream was created, gaps, versions of ours.

    ``count`` makes the rows of kind link_day out of the day's measurements.
    """

    versions: tuple[str, ...] = ()
    streams: Mapping[str, str] = ()  # type: ignore[assignment]  # an empty mapping, as immutable as the rest
    gaps: tuple[str, ...] = ()
    method_version: str = ""
    software: str = ""
    count: Callable[[str, pa.Table], pa.Table] | None = None


class Sealer:
    """Seals the days of one dataset, in order."""

    def __init__(self, storage: Storage, key: SigningKey, days: EvidenceDays) -> None:
        self._storage = storage
        self._key = key
        self._days = days
        self._log = LogFiles(storage)

    def recover(self) -> None:
        """Finish what a crash interrupted: sign a leaf without a checkpoint, remove the segments of sealed days."""
        self._log.sign(self._key)
        for day in self.sealed_days():
            self._remove_segments(day)

    def sealed_days(self) -> list[str]:
        """Return the days that are sealed."""
        return [manifest.day for _, manifest in manifests(self._log.leaves())]

    def due(self, stored_up_to: float) -> list[str]:
        """Return the days that take no more rows, now that everything stored up to then was taken in, in order.

        A day without a row is not sealed.
        """
        open_days = {segment.day for kind in STREAM_KINDS for segment in list_segments(self._storage, kind)}
        return [day for day in sorted(open_days) if self._days.closes(day) < stored_up_to]

    def seal(self, day: str, context: SealingContext) -> Checkpoint:
        """Seal a day; the same rows make the same bytes. Raises StateError.

        Its files are durable before the leaf that names them, the leaf before the checkpoint, and that before the
        segments go.
        """
        files: list[SealedFile] = []
        spans: list[StreamSpan] = []
        counts: Mapping[str, Mapping[str, int]] = {}
        for kind in STREAM_KINDS:
            segments = [segment for segment in list_segments(self._storage, kind) if segment.day == day]
            tables = []
            for late in (False, True):
                table = read_segments(self._storage, kind, [one for one in segments if one.late is late])
                tables.append(table)
                files += self._write(table, kind, day, late=late)
            if kind is MEASUREMENT:
                counts = _counts(tables[0])
                if context.count is not None:
                    counted = sorted_rows([context.count(day, tables[0])], LINK_DAY)
                    files += self._write(counted, LINK_DAY, day, late=False)
            spans += _spans(tables, kind.stream, context)
        span = self._days.span(day)
        manifest = Manifest(
            day=day,
            timezone=self._days.timezone,
            start=span.start,
            end=span.stop,
            files=tuple(files),
            versions=context.versions,
            streams=tuple(spans),
            counts=counts,
            gaps=context.gaps,
            method_version=context.method_version,
            software=context.software,
        )
        checkpoint = self._log.append(manifest.leaf(), self._key)
        self._remove_segments(day)
        return checkpoint

    def _write(self, table: pa.Table, kind: Kind, day: str, *, late: bool) -> Iterator[SealedFile]:
        for shard, rows in _shards(table, kind):
            path = f"sealed/{'late/' * late}kind={kind.name}/day={day}/shard={shard:02}.parquet"
            data = write(rows, kind)
            self._storage.write(path, data)
            yield SealedFile.of(path, kind.name, data, rows.num_rows, content_hash(rows, kind))

    def _remove_segments(self, day: str) -> None:
        for kind in STREAM_KINDS:
            for segment in list_segments(self._storage, kind):
                if segment.day == day:
                    self._storage.remove(segment.name)


def _shards(table: pa.Table, kind: Kind) -> Iterator[tuple[int, pa.Table]]:
    """Yield the parts of a table by the first text of their order, such as the link; one part of few rows."""
    if table.num_rows <= _ROWS_OF_ONE_FILE:
        if table.num_rows:
            yield 0, table
        return
    texts = table[kind.order[0]].combine_chunks()
    of_text = np.array([crc32(text.encode()) % _SHARDS for text in texts.dictionary.to_pylist()] + [0], np.int64)
    shard = of_text[pc.fill_null(texts.indices, len(of_text) - 1).to_numpy()]
    for number in np.unique(shard):
        yield int(number), table.filter(pa.array(shard == number))


def _spans(tables: Sequence[pa.Table], stream: str, context: SealingContext) -> Iterator[StreamSpan]:
    sequences = [table["sequence"].to_numpy() for table in tables if table.num_rows]
    if sequences:
        joined = np.concatenate(sequences)
        created = dict(context.streams).get(stream, "")
        yield StreamSpan(stream, created, int(joined.min()), int(joined.max()))


def _counts(table: pa.Table) -> dict[str, dict[str, int]]:
    counted: dict[str, dict[str, int]] = defaultdict(dict)
    plain = pa.table({name: table[name].cast(pa.string()) for name in ("vantage", "prober")})
    for row in plain.group_by(["vantage", "prober"]).aggregate([([], "count_all")]).to_pylist():
        counted[row["vantage"]][row["prober"]] = row["count_all"]
    return dict(counted)


__all__ = ["Sealer", "SealingContext", "Segment"]
