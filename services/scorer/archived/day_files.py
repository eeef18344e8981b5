"""Counts sealed files one by one, in any process (docs/archive.md §6)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta

import pyarrow as pa

from services.core.model import MeasurementColumns, Policy
from services.dataset.days import Manifest, SealedFile, read_sealed
from services.dataset.storage import open_storage
from services.dataset.tables import COUNTED, LINK_DAY, SCORED, measurements_of, stages_of
from services.indicator.admission import admit_again
from services.indicator.calendar import Calendar
from services.indicator.cells import MeasuredDay
from services.indicator.measured_days import measured_day
from services.indicator.sensitivity import LinkLimits, MarkedDay, mark_day


class OtherSlotsError(Exception):
    """A day was counted by slots of another length."""


@dataclass(frozen=True, slots=True)
class DayFile:
    """One sealed file to count: a unit of work that needs nothing but the dataset."""

    address: str
    day: str
    file: SealedFile
    policy: Policy


def elsewhere(day: date, sealed: Mapping[str, Manifest], timezone: str) -> list[str]:
    """Return which of a day and its neighbours begin by another timezone, so that any of them may have rows of the day.

    A day that is not ``sealed`` begins like the last one that is.
    """
    last = sealed[max(sealed)] if sealed else None
    around = ((day + timedelta(days=days)).isoformat() for days in (-1, 0, 1))
    return [one for one in around if (manifest := sealed.get(one, last)) is not None and manifest.timezone != timezone]


def count_file(one: DayFile) -> MeasuredDay:
    """Count a sealed file. Raises StateError when it is not as it was sealed, and OtherSlotsError."""
    day, calendar = date.fromisoformat(one.day), Calendar.of(one.policy)
    if one.file.kind != LINK_DAY.name:
        return measured_day(calendar, day, _rows(one))
    counted = MeasuredDay(day, *stages_of(read_sealed(open_storage(one.address), one.file, COUNTED)))
    if counted.stages.shape[2] != len(calendar.slots_of(day)):
        raise OtherSlotsError
    return counted


def mark_file(one: DayFile, limits: LinkLimits) -> MarkedDay:
    """Mark a sealed file of measurements. Raises StateError when it is not as it was sealed."""
    return mark_day(Calendar.of(one.policy), date.fromisoformat(one.day), _rows(one), limits)


def counting_rows(table: pa.Table, policy: Policy) -> Iterator[MeasurementColumns]:
    """Yield the measurements of a table that are admitted."""
    for part in measurements_of(table):
        yield admit_again(part.columns, stored=part.stored, policy=policy)


def _rows(one: DayFile) -> Iterator[MeasurementColumns]:
    return counting_rows(read_sealed(open_storage(one.address), one.file, SCORED), one.policy)
