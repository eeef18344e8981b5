"""Seals a day: its evidence in sorted files, named by a manifest that the log signs (docs/archive.md §3)."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from shutil import rmtree
from tempfile import TemporaryDirectory
from typing import Final, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from services.core.errors import StateError
from services.dataset.days.batches import account_of_day, drop_batches_before
from services.dataset.days.days import EvidenceDays
from services.dataset.days.log_files import LogFiles
from services.dataset.days.manifest import Manifest, SealedFile, StreamSpan
from services.dataset.days.segments import list_segments, read_segments
from services.dataset.days.shards import Shards
from services.dataset.log import Checkpoint, SigningKey
from services.dataset.storage import Storage
from services.dataset.tables import LINK_DAY, MEASUREMENT, STREAM_KINDS, Kind, codes_of, content_hash, texts_of, write

_DIGITS: Final = 16
"""Digits of the hash of a file in its name: two archives never write different files under one name."""


@dataclass(frozen=True, slots=True)
class SealingContext:
    """The parts of a manifest beside its files: when each stream was created, gaps, and our versions.

    ``count`` makes rows of kind link_day from measurements of the day; a call gets all measurements of some links.
    """

    streams: Mapping[str, str] = field(default_factory=dict)
    gaps: tuple[str, ...] = ()
    method_version: str = ""
    software: str = ""
    count: Callable[[str, pa.Table], pa.Table] | None = None


class SealedDay(NamedTuple):
    """A sealed day, its end in epoch seconds, and the messages that its rows came from."""

    day: str
    end: int
    streams: tuple[StreamSpan, ...]


class Sealer:
    """Seals the days of one dataset, in order.

    ``scratch`` is a folder of this host that only the sealer uses, to sort days that do not fit into memory; this takes
    some 30 bytes per measurement. By default it is the system's folder for temporary files. ``earlier`` days were
    sealed in another dataset.
    """

    def __init__(
        self,
        storage: Storage,
        key: SigningKey,
        days: EvidenceDays,
        scratch: Path | None = None,
        earlier: Sequence[Manifest] = (),
    ) -> None:
        self._earlier = earlier
        self._storage = storage
        self._key = key
        self._days = days
        self._scratch = scratch
        self._log = LogFiles(storage)

    def recover(self) -> None:
        """Finish what a crash interrupted: sign a leaf without a checkpoint, and remove what sealing leaves."""
        self._log.sign(self._key)
        self._remove_unnamed_of_latest()
        self._remove_segments({one.day for one in self.sealed_days()})

    def sealed_days(self) -> list[SealedDay]:
        """Return the sealed days, in order. Raises StateError."""
        return [SealedDay(one.day, one.end, one.streams) for one in self._manifests()]

    def latest(self) -> Manifest | None:
        """Return the manifest of the day that was sealed last; None before the first. Raises StateError."""
        return next(reversed(self._manifests()), None)

    def due(self, stored_up_to: float) -> list[str]:
        """Return, in order, the days that take no more rows once everything stored up to ``stored_up_to`` was read.

        A day without a row is not sealed.
        """
        open_days = self._open_days()
        if again := open_days.intersection(one.day for one in self.sealed_days()):
            self._remove_segments(again)  # of messages that were read again, for a segment of another day
        return self._over(open_days - again, stored_up_to)

    def over(self, stored_up_to: float) -> list[str]:
        """Do as ``due``, but without the log, which may be what prevents sealing: days that it has may be among them."""
        return self._over(self._open_days(), stored_up_to)

    def _over(self, days: Collection[str], stored_up_to: float) -> list[str]:
        return [day for day in sorted(days) if self._days.closes(day) < stored_up_to]

    def seal(self, day: str, context: SealingContext) -> Checkpoint:
        """Seal a day; the same rows make the same bytes. Raises StateError.

        Its files are durable before the leaf that names them, the leaf before the checkpoint, and the checkpoint before
        the segments are removed. If another archive sealed the day meanwhile, its leaf and its files stay, and ours go
        (ADR 128).
        """
        if not self._storage.one_writer:
            self._remove_unnamed_of_latest()
        files: list[SealedFile] = []
        spans: list[StreamSpan] = []
        counts = Counter[tuple[str, str]]()
        versions = set[str]()
        with self._scratch_folder() as folder:
            counted = Shards(LINK_DAY, folder)
            for kind in STREAM_KINDS:
                sequences: list[int] = []
                for late in (False, True):
                    for shard, table in self._rows(day, kind, folder, late=late):
                        files.append(self._write(table, kind, day, shard, late=late))
                        sequences += pc.min_max(table["sequence"]).as_py().values()
                        if kind is MEASUREMENT and not late:
                            counts.update(_pairs(table, "vantage", "prober"))
                            in_force = _pairs(table, "register_version", "probe_version")
                            versions |= {f"{register}.{probe}" for register, probe in in_force if register and probe}
                            if context.count is not None:
                                counted.add(context.count(day, table))
                if sequences:
                    created = context.streams.get(kind.stream, "")
                    spans.append(StreamSpan(kind.stream, created, min(sequences), max(sequences)))
            files += [self._write(table, LINK_DAY, day, shard, late=False) for shard, table in counted.take()]
        span = self._days.span(day)
        runs, more_runs = account_of_day(self._storage, self._days, day, [*self._earlier, *self._manifests()])
        manifest = Manifest(
            day=day,
            timezone=self._days.timezone,
            start=span.start,
            end=span.stop,
            files=tuple(files),
            versions=tuple(sorted(versions)),
            streams=tuple(spans),
            counts=_by_vantage(counts),
            gaps=context.gaps,
            method_version=context.method_version,
            software=context.software,
            runs=runs,
            more_runs=more_runs,
        )
        try:
            checkpoint = self._log.append(manifest.leaf(), self._key)
        except StateError:
            self._remove_if_beaten(manifest)
            raise
        if self._storage.one_writer:
            self._remove_unnamed(manifest)
        self._remove_segments([day])
        return checkpoint

    def _rows(self, day: str, kind: Kind, folder: Path, *, late: bool) -> Iterator[tuple[int, pa.Table]]:
        shards = Shards(kind, folder)
        segments = [one for one in list_segments(self._storage, kind) if one.day == day and one.late is late]
        for table in read_segments(self._storage, kind, segments):
            shards.add(table)
        return shards.take()

    def _write(self, table: pa.Table, kind: Kind, day: str, shard: int, *, late: bool) -> SealedFile:
        data = write(table, kind)
        path = f"{_folder(kind, day, late=late)}/shard={shard:02}-{sha256(data).hexdigest()[:_DIGITS]}.parquet"
        self._storage.write(path, data)
        return SealedFile.of(path, kind.name, data, table.num_rows, content_hash(table, kind))

    def _remove_if_beaten(self, manifest: Manifest) -> None:
        """Remove the files of a manifest if the log has another one of that day, which does not name them."""
        for sealed in (one for one in self._manifests() if one.day == manifest.day):
            for name in {file.path for file in manifest.files} - {file.path for file in sealed.files}:
                self._storage.remove(name)

    def _remove_unnamed_of_latest(self) -> None:
        for latest in self._manifests()[-1:]:
            self._remove_unnamed(latest)

    def _remove_unnamed(self, manifest: Manifest) -> None:
        """Remove files of a sealed day that its leaf does not name: of an attempt with other rows, or of another archive.

        Where others may write, they may be about to replace the leaf. There it waits for the next day or the next start.
        """
        named = {file.path for file in manifest.files}
        for kind in (*STREAM_KINDS, LINK_DAY):
            for late in (False, True):
                for name in self._storage.names(_folder(kind, manifest.day, late=late)):
                    if name not in named:
                        self._storage.remove(name)

    @contextmanager
    def _scratch_folder(self) -> Iterator[Path]:
        """Create an empty folder to sort a day in, whatever a crash left there. Raises StateError."""
        try:
            if self._scratch is not None:
                rmtree(self._scratch, ignore_errors=True)
                self._scratch.mkdir(mode=0o700, parents=True)
            with TemporaryDirectory(dir=self._scratch, ignore_cleanup_errors=True) as folder:
                yield Path(folder)
        except OSError as error:
            raise StateError(f"{self._scratch} cannot be used to sort a day: {error.strerror}") from error

    def _open_days(self) -> set[str]:
        return {segment.day for kind in STREAM_KINDS for segment in list_segments(self._storage, kind)}

    def _manifests(self) -> list[Manifest]:
        return [manifest for _, manifest in self._log.manifests()]

    def _remove_segments(self, days: Collection[str]) -> None:
        for kind in STREAM_KINDS:
            for segment in list_segments(self._storage, kind):
                if segment.day in days:
                    self._storage.remove(segment.name)
        drop_batches_before(self._storage, max(days, default=""))


def _folder(kind: Kind, day: str, *, late: bool) -> str:
    return f"sealed/{'late/' * late}kind={kind.name}/day={day}"


def _pairs(table: pa.Table, *names: str) -> dict[tuple[str, str], int]:
    """Return how many rows there are of each pair of texts in two columns."""
    columns = {name: table[name].unify_dictionaries() for name in names}
    texts = {name: texts_of(column) for name, column in columns.items()}
    coded = pa.table({name: codes_of(column) for name, column in columns.items()})
    rows = coded.group_by(list(names)).aggregate([([], "count_all")]).to_pylist()
    return {tuple(texts[name][row[name]] for name in names): row["count_all"] for row in rows}


def _by_vantage(counts: Mapping[tuple[str, str], int]) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = defaultdict(dict)
    for (vantage, prober), rows in counts.items():
        found[vantage][prober] = rows
    return dict(found)
