"""Makes the rows of kind link_day when a day is sealed (docs/archive.md §2)."""

from __future__ import annotations

from datetime import date

import pyarrow as pa

from services.core.model import Policy
from services.dataset.tables import link_day_table, measurements_of
from services.indicator.admission import admit_again
from services.indicator.calendar import Calendar
from services.indicator.measured_days import measured_day


def link_days(policy: Policy, day: str, measurements: pa.Table) -> pa.Table:
    """Return the link_day rows of a day, from its measurements that came neither late nor early."""
    calendar = Calendar.of(policy)
    parts = measurements_of(measurements)
    batches = (admit_again(part.columns, stored=part.stored, policy=policy) for part in parts)
    counted = measured_day(calendar, date.fromisoformat(day), batches)
    start = calendar.midnight(counted.day)
    return link_day_table(counted.targets, counted.vantages, counted.stages, start=start)
