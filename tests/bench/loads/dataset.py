"""Make up measurements of a country by the million, as an archive's segments and as sealed days."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from services.archive.link_days import link_days
from services.core.model import FACTS, FactColumns, MeasurementColumns, Policy, Reason, RegisterVersions, Target
from services.dataset.days import EvidenceDays, LogFiles, Manifest, SealedFile, StreamSpan
from services.dataset.days.segments import Segment
from services.dataset.log import SigningKey
from services.dataset.storage import Storage
from services.dataset.tables import (
    LINK_DAY,
    MEASUREMENT,
    MICROS,
    Kind,
    content_hash,
    measurement_table,
    sorted_rows,
    write,
)

__all__ = ["Country"]

_REASONS = (Reason.OK, Reason.LATE, Reason.STATUS, Reason.CONNECT_REFUSED)
_SHARES = (0.95, 0.02, 0.02, 0.01)
_DETAILS = ("", "after 2 s", "503", "Connection refused")
_VERSIONS = RegisterVersions("a" * 64, "b" * 64)
_OVER_TLS = 0.45
_FILE_LINKS = 200
"""Links of one sealed file: about as many rows as the archive puts into one."""

Moment = TypeVar("Moment", int, NDArray[np.int64])


@dataclass(frozen=True, slots=True)
class Country:
    """So many links, each probed once a slot at its own moment, by a prober that publishes every second."""

    links: int
    policy: Policy

    @property
    def days(self) -> EvidenceDays:
        """The days of its policy."""
        return EvidenceDays(self.policy.timezone, self.policy.grace_seconds, self.policy.slot_seconds)

    def seal(self, storage: Storage, key: SigningKey, days: Sequence[date]) -> int:
        """Write sealed days as the archive would, and sign them. Return the number of rows."""
        rows = 0
        with ProcessPoolExecutor() as pool:
            for manifest in pool.map(partial(self._sealed_day, storage), days):
                LogFiles(storage).append(manifest.leaf(), key)
                rows += sum(file.rows for file in manifest.files if file.kind == MEASUREMENT.name)
        return rows

    def _sealed_day(self, storage: Storage, day: date) -> Manifest:
        span, counted = self.days.span(f"{day}"), []
        slots = np.arange(span.start, span.stop, self.policy.slot_seconds)
        files = []
        for number, first in enumerate(range(0, self.links, _FILE_LINKS)):
            links = np.arange(first, min(first + _FILE_LINKS, self.links))
            table = sorted_rows([self._rows(np.repeat(links, len(slots)), np.tile(slots, len(links)))], MEASUREMENT)
            counted.append(link_days(self.policy, f"{day}", table))
            files.append(_sealed(storage, table, MEASUREMENT, f"{day}", number))
        files.append(_sealed(storage, sorted_rows(counted, LINK_DAY), LINK_DAY, f"{day}", 0))
        stream = StreamSpan(MEASUREMENT.stream, "", self._sequence(span.start), self._sequence(span.stop - 1))
        return Manifest(f"{day}", self.policy.timezone, span.start, span.stop, tuple(files), streams=(stream,))

    def segments(self, storage: Storage, day: date, seconds: int) -> int:
        """Write a day as segments of so many seconds, as before an archive seals it. Return the number of rows."""
        span, rows = self.days.span(f"{day}"), 0
        links = np.arange(self.links)
        offset = self._offset(links)
        for moment in range(span.start, span.stop, seconds):
            slot = moment - moment % self.policy.slot_seconds
            due = links[(offset >= moment - slot) & (offset < moment - slot + seconds)]
            table = sorted_rows([self._rows(due, np.full(len(due), slot))], MEASUREMENT)
            first = self._sequence(moment)
            segment = Segment(MEASUREMENT.name, f"{day}", first, first + seconds - 1)
            storage.write(segment.name, write(table, MEASUREMENT))
            rows += len(due)
        return rows

    def _rows(self, links: NDArray[np.int64], slots: NDArray[np.int64]) -> pa.Table:
        """Return a measurement of each link in the slot beside it."""
        rng, rows, used = np.random.default_rng(int(slots[0])), len(links), np.unique(links)
        offset = self._offset(links)
        reason = rng.choice(len(_REASONS), rows, p=_SHARES)
        answered = reason < 3
        tls = np.where(links % 100 < _OVER_TLS * 100, rng.lognormal(9, 0.3, rows), -1)
        phases = {
            "resolve": rng.lognormal(6, 0.3, rows),
            "connect": rng.lognormal(7, 0.3, rows),
            "tls": tls,
            "processing": rng.lognormal(10, 0.5, rows),
            "transfer": rng.lognormal(5, 0.3, rows),
        }
        numbers = {name: np.where(answered, values, -1).astype(np.int64) for name, values in phases.items()}
        numbers["latency"] = np.where(answered, sum(np.maximum(one, 0) for one in numbers.values()), -1)
        numbers["data_age"] = np.full(rows, -1)
        numbers["certificate_expiry"] = np.where(numbers["tls"] < 0, -1, 1_900_000_000 + links * 86_400)
        stored = slots + offset + 1
        columns = MeasurementColumns(
            vantage="main",
            targets=tuple(Target(f"link-{link}") for link in used.tolist()),
            target=np.searchsorted(used, links),
            slot_start=slots,
            time=(slots + offset) * MICROS + rng.gamma(2, 400, rows).astype(np.int64),
            outcome=np.array([one.outcome for one in _REASONS], np.uint8)[reason],
            reason=np.array(_REASONS, np.uint8)[reason],
            facts=FactColumns(np.stack([numbers[name] for name in FACTS]), reason, _DETAILS),
            register=_VERSIONS,
            prober="prober-1",
        )
        table = measurement_table(columns, stored=0.0, sequence=0)
        late = (slots + offset) % 97 * 1013  # microseconds; all rows of a message have the same
        of_message = {
            "stored": pa.array(stored * MICROS + late).cast(MEASUREMENT.schema.field("stored").type),
            "sequence": pa.array(self._sequence(slots + offset)),
        }
        for name, values in of_message.items():
            table = table.set_column(table.schema.get_field_index(name), name, values)
        return table

    def _offset(self, links: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the second of a slot in which each link is probed."""
        return links * 7919 % self.policy.slot_seconds

    @staticmethod
    def _sequence(moment: Moment) -> Moment:
        return moment - 1_700_000_000


def _sealed(storage: Storage, table: pa.Table, kind: Kind, day: str, shard: int) -> SealedFile:
    path, data = f"sealed/kind={kind.name}/day={day}/shard={shard:02}.parquet", write(table, kind)
    storage.write(path, data)
    return SealedFile.of(path, kind.name, data, table.num_rows, content_hash(table, kind))
