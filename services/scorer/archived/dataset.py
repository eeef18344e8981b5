"""Reads evidence out of a dataset (docs/archive.md §6).

Sealed days come as they were counted when they were sealed, or are counted again. Open days come from their
measurements.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import UTC, date, datetime
from functools import partial
from itertools import groupby, islice
from operator import attrgetter
from typing import Final

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from services.core.errors import SettingsError, StateError
from services.core.model import ExchangeSummary, Indicator, IndicatorKind, MeasurementColumns, Policy, Register
from services.dataset.days import (
    LogFiles,
    Manifest,
    SealedFile,
    list_segments,
    read_register,
    read_sealed,
    read_segments,
    register_versions,
)
from services.dataset.storage import Storage
from services.dataset.tables import (
    EXCHANGE,
    INDICATOR,
    LINK_DAY,
    MEASUREMENT,
    MICROS,
    SCORED,
    STREAM_KINDS,
    Kind,
    indicators_of,
    last_of_each,
    sorted_rows,
    summaries_of,
)
from services.indicator.calendar import Calendar, record_span
from services.indicator.evidence import Evidence
from services.indicator.sensitivity import LinkLimits, MarkedDay, mark_day
from services.register.versions import from_rows, with_versions
from services.scorer.archived.day_files import DayFile, OtherSlotsError, count_file, counting_rows, elsewhere, mark_file
from services.scorer.archived.engines import Engine, here
from services.scorer.archived.message_limits import ALL, MessageLimit, message_limit

_SUMMARIES_AT_ONCE: Final = 2_000


class ArchivedEvidence:
    """The content of a dataset. Methods raise StateError for a file that is missing, damaged or not as it was sealed."""

    def __init__(self, storage: Storage, sealed: Iterable[Manifest] | None = None) -> None:
        """Use the ``sealed`` days; by default, read them from the log."""
        self._storage = storage
        # List the segments before reading the log: a day that is sealed meanwhile is then in the log. Otherwise it
        # would be in neither.
        self._segments = {kind.name: list_segments(storage, kind) for kind in STREAM_KINDS}
        if sealed is None:
            sealed = [manifest for _, manifest in LogFiles(storage).manifests()]
        self._sealed = {manifest.day: manifest for manifest in sealed}
        self._registers: dict[str, Register] = {}

    @property
    def last_sequence(self) -> int:
        """The last message of measurements in a sealed day; 0 without any."""
        spans = (span for manifest in self._sealed.values() for span in manifest.streams)
        return max((span.last for span in spans if span.stream == MEASUREMENT.stream), default=0)

    def software_of(self, methods: Collection[str]) -> list[str]:
        """Return the versions of the software that sealed days while it computed by one of these methods."""
        return sorted({one.software for one in self._sealed.values() if one.method_version in methods} - {""})

    @property
    def measured_days(self) -> set[str]:
        """The days with measurements, sealed or not."""
        return self._days(MEASUREMENT)

    def measured_up_to(self, policy: Policy) -> int:
        """Return the end of the newest slot that was measured, in epoch seconds; 0 without one."""
        for day in sorted(self._days(MEASUREMENT), reverse=True):
            for table in self._tables(MEASUREMENT, day):
                if table.num_rows:
                    return int(pc.max(table["slot_start"].cast(pa.int64())).as_py()) // MICROS + policy.slot_seconds
        return 0

    def published(self, at: int | None = None) -> list[Indicator]:
        """Return the numbers published as of a moment, by default as of the newest one; empty when there are none."""
        for day in sorted(self._days(INDICATOR, at), reverse=True):
            table = pa.concat_tables([INDICATOR.schema.empty_table(), *self._tables(INDICATOR, day)])
            moments = table["as_of"].cast(pa.int64()).to_numpy() // MICROS
            if at is None and len(moments):
                at = int(moments.max())
            chosen = np.flatnonzero(moments == at)
            if len(chosen):
                return list(indicators_of(table.take(pa.array(chosen))))
        return []

    def published_by_day(
        self, kinds: Sequence[IndicatorKind], *, first: str = "", last: str = "9999"
    ) -> Iterator[tuple[str, pa.Table]]:
        """Yield each day of a span on which numbers of these kinds were published, with the rows published last on it."""
        labels = pa.array([kind.label for kind in kinds])
        for day in sorted(one for one in self._days(INDICATOR) if first <= one <= last):
            table = pa.concat_tables([INDICATOR.schema.empty_table(), *self._tables(INDICATOR, day)])
            table = table.filter(pc.is_in(table["kind"].cast(pa.string()), labels))
            table = sorted_rows([table.filter(pc.equal(table["as_of"], pc.max(table["as_of"])))], INDICATOR)
            if table.num_rows:
                yield day, table.filter(last_of_each(table, "kind", "id", "window_days"))

    def register(self, version: str) -> Register:
        """Return the register whose versions, joined by a dot, begin so. Raises SettingsError for none or several."""
        found = [one for one in register_versions(self._storage) if one.startswith(version)]
        if len(found) != 1:
            several = "several registers whose versions begin" if found else "no register whose versions begin"
            raise SettingsError(
                f"{self._storage.address} has {several} with {version!r}; name a directory with --register"
            )
        if found[0] not in self._registers:
            try:
                register = with_versions(from_rows([orjson.loads(read_register(self._storage, found[0]))]))
            except ValueError as error:
                raise StateError(f"register {found[0]} in {self._storage.address} is damaged: {error}") from error
            if f"{register.register_version}.{register.probe_version}" != found[0]:
                raise StateError(f"register {found[0]} in {self._storage.address} has rows of other versions")
            self._registers[found[0]] = register
        return self._registers[found[0]]

    def register_of(self, published: Sequence[Indicator]) -> Register:
        """Return the register by which numbers were computed. Raises SettingsError when there are no numbers."""
        if not published:
            raise SettingsError(
                f"{self._storage.address} holds no published number that names its register: name a directory with --register"
            )
        return self.register(f"{published[0].register_version}.{published[0].probe_version}")

    def evidence(
        self,
        register: Register,
        *,
        end_slot: int,
        window_days: int = 0,
        sequence: int = ALL,
        again: bool = False,
        engine: Engine = here,
    ) -> Evidence:
        """Return the evidence of a register's targets in ``record_span``, as ``fill`` counts it."""
        policy = register.policy
        evidence = Evidence(Calendar.of(policy))
        evidence.columns.of(register.targets)
        span = record_span(policy, window_days, end_slot)
        self.fill(evidence, policy, span, sequence=sequence, again=again, engine=engine)
        return evidence

    def fill(
        self,
        evidence: Evidence,
        policy: Policy,
        span: range,
        *,
        sequence: int = ALL,
        again: bool = False,
        engine: Engine = here,
    ) -> set[int]:
        """Put a span of slots in evidence: messages within a ``message_limit``, and targets that have columns in it.

        Closed days of the evidence stay. Whole days come as counted at sealing, or with ``again`` from their
        measurements, and are closed. The measurements of other days are ingested. Returns the slots that these changed.
        """
        calendar, closed = evidence.calendar, evidence.closed_days
        limit = self.limit(calendar, span, sequence)
        days = [day for day, _ in calendar.days(span) if day not in closed]
        # No day may be closed after one that has open slots.
        end = span.stop if evidence.last_slot is None else evidence.closed_before
        whole = next((at for at, day in enumerate(days) if not self._is_whole(day, calendar, end, limit)), len(days))
        files = [file for day in days[:whole] for file in self._files_to_count(day, policy, again=again)]
        try:
            for _, parts in groupby(engine(count_file, files), key=attrgetter("day")):
                evidence.put(tuple(parts))
        except OtherSlotsError:
            return self.fill(evidence, policy, span, sequence=sequence, again=True, engine=engine)
        changed: set[int] = set()
        for day in days[whole:]:
            for columns in self._batches(day, policy, limit):
                changed.update(evidence.take(evidence.columns.known(columns)).changed)
        return changed

    def marked_days(
        self, register: Register, span: range, *, sequence: int = ALL, engine: Engine = here
    ) -> Iterator[Sequence[MarkedDay]]:
        """Yield the parts of every day of a span, marked out of the measurements of messages up to ``sequence``."""
        policy, calendar, limits = register.policy, Calendar.of(register.policy), LinkLimits.of(register)
        limit = self.limit(calendar, span, sequence)
        days = [day for day, _ in calendar.days(span)]
        whole = {
            day: self._files_to_count(day, policy, again=True)
            for day in days
            if self._is_whole(day, calendar, span.stop, limit)
        }
        files = [file for of_day in whole.values() for file in of_day]
        marked = iter(engine(partial(mark_file, limits=limits), files))
        for day in days:
            if whole.get(day):
                yield tuple(islice(marked, len(whole[day])))
            else:
                yield (mark_day(calendar, day, self._batches(day, policy, limit), limits),)

    def summaries(self, policy: Policy, *, days: int, end_slot: int) -> Iterator[ExchangeSummary]:
        """Yield the exchange summaries of a window, including late ones."""
        for batches in self.exchanges(policy, days=days, end_slot=end_slot):
            for _, _, rows in batches:
                yield from rows

    def exchanges(
        self, policy: Policy, *, days: int, end_slot: int
    ) -> Iterator[list[tuple[float, str, list[ExchangeSummary]]]]:
        """Yield a window's summaries, some at a time, newest days first: when stored (epoch seconds), the bus, and one."""
        calendar = Calendar.of(policy)
        span = calendar.window(days, end_slot)
        first, last = (calendar.day_of(slot).isoformat() for slot in (span.start, max(span.start, span.stop - 1)))
        tables = (
            table
            for day in sorted(self._days(EXCHANGE), reverse=True)
            for late in (True, False)
            if first <= day and (late or day <= last)  # late ones belong to the day on which they came
            for table in self._tables(EXCHANGE, day, late=late)
        )
        for table in tables:
            for start in range(0, table.num_rows, _SUMMARIES_AT_ONCE):
                part = table.slice(start, _SUMMARIES_AT_ONCE)
                stored = part["stored"].cast(pa.int64()).to_numpy() / MICROS
                rows = zip(stored.tolist(), part["bus"].to_pylist(), summaries_of(part), strict=True)
                yield [(moment, bus, [row]) for moment, bus, row in rows if calendar.slot_of(row.slot_start) in span]

    def _batches(self, day: date, policy: Policy, limit: MessageLimit) -> Iterator[MeasurementColumns]:
        """Yield the measurements of a day within a limit, and any of its neighbours, with latencies and ages."""
        for one in sorted({day.isoformat(), *elsewhere(day, self._sealed, policy.timezone)}):
            for table in self._tables(MEASUREMENT, one, names=SCORED):
                yield from counting_rows(limit.within(table), policy)

    def limit(self, calendar: Calendar, span: range, sequence: int) -> MessageLimit:
        """Return the limit for the numbers as of the end of a span that count messages up to ``sequence``."""
        return message_limit(self._storage, self._sealed.values(), sequence, self._near, calendar, span.stop)

    def _near(self, kind: Kind, at: int, names: Sequence[str]) -> Iterator[pa.Table]:
        parts = ((day, late) for day in self._days(kind, at) for late in (False, True))
        return (table for day, late in parts for table in self._tables(kind, day, late=late, names=names))

    def _is_whole(self, day: date, calendar: Calendar, end_slot: int, limit: MessageLimit) -> bool:
        """Return whether a day that ended by ``end_slot`` counts as a whole. Its rows must be in no other day's files.

        Either it is sealed and has all messages within the limit, or nothing was measured on it.
        """
        if calendar.slots_of(day).stop > end_slot or elsewhere(day, self._sealed, calendar.timezone):
            return False
        manifest = self._sealed.get(day.isoformat())
        if manifest is None:
            return not any(segment.day == day.isoformat() for segment in self._segments[MEASUREMENT.name])
        return limit.has_all(manifest.streams)

    def _files_to_count(self, day: date, policy: Policy, *, again: bool) -> list[DayFile]:
        manifest = self._sealed.get(day.isoformat())
        if manifest is None:
            return []
        files = ([] if again else _files(manifest, LINK_DAY)) or _files(manifest, MEASUREMENT)
        return [DayFile(self._storage.address, manifest.day, file, policy) for file in files]

    def _days(self, kind: Kind, at: int | None = None) -> set[str]:
        days = {day for day, manifest in self._sealed.items() if any(one.kind == kind.name for one in manifest.files)}
        days |= {segment.day for segment in self._segments[kind.name]}
        if at is not None:  # whatever the timezone, its day is one of these
            days &= {f"{datetime.fromtimestamp(at + offset * 86_400, UTC):%Y-%m-%d}" for offset in (-1, 0, 1)}
        return days

    def _tables(self, kind: Kind, day: str, *, late: bool = False, names: Sequence[str] = ()) -> Iterator[pa.Table]:
        """Yield the rows of a day, sealed or not, in parts; of sealed rows only the columns ``names``, if any."""
        manifest = self._sealed.get(day)
        if manifest is not None:
            yield from (read_sealed(self._storage, file, names) for file in _files(manifest, kind, late=late))
        else:
            segments = [one for one in self._segments[kind.name] if one.day == day and one.late is late]
            yield from read_segments(self._storage, kind, segments)


def _files(manifest: Manifest, kind: Kind, *, late: bool = False) -> list[SealedFile]:
    return [one for one in manifest.files if one.kind == kind.name and one.path.startswith("sealed/late/") is late]
