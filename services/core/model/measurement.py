"""Measurements as values: single ones, and batches of them as columns (docs/design.md §5)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple, TypeVar, dataclass_transform

from services.core.model.outcome import Outcome, Reason

if TYPE_CHECKING:  # the command line needs the values of the register at startup, but not numpy
    import numpy as np
    from numpy.typing import NDArray

T = TypeVar("T")

MOMENTS = range(7_258_118_400)
"""Times that slots may have, in epoch seconds: the years 1970 to 2199. Dates near the ends of Python's calendar overflow."""

ENDLESS = 253_370_764_800
"""A certificate that expires in the year 9999, from this moment on (epoch seconds), has no end: X.509 writes the last
second of that year.
"""


@dataclass_transform(frozen_default=True)
def unfrozen(cls: type[T]) -> type[T]:
    """Make a dataclass that is frozen for mypy, but not at run time.

    Setting a field of a really frozen dataclass takes three times as long. The values that one probe creates have some
    sixty fields; setting them took 5 % of its time.
    """
    return dataclass(slots=True)(cls)


class Target(NamedTuple):
    """A link or an endpoint, by id: what a measurement is about.

    It is a tuple because each probe and each measurement looks it up several times; a dataclass would hash in Python.
    """

    id: str
    endpoint: bool = False


class Phases(NamedTuple):
    """Seconds spent in each part of one probe; None when skipped."""

    resolve: float | None = None
    connect: float | None = None
    tls: float | None = None
    processing: float | None = None
    transfer: float | None = None


PHASES = Phases._fields
"""Names of the phases, in order."""


@unfrozen
class Measurement:
    """One published outcome.

    ``slot_start``, ``time`` (None when shed) and ``certificate_expiry`` are in epoch seconds, ``latency`` and
    ``data_age`` in seconds. ``stored`` (epoch seconds) and ``sequence`` are those of the stream's message, set in dumps
    only.
    """

    target: Target
    vantage: str
    slot_start: int
    time: float | None
    outcome: Outcome
    reason: Reason
    latency: float | None = None
    data_age: float | None = None
    phases: Phases = Phases()
    certificate_expiry: int | None = None
    detail: str = ""
    register_version: str = ""
    probe_version: str = ""
    prober: str = ""
    stored: float | None = None
    sequence: int = 0


@dataclass(frozen=True, slots=True)
class RegisterVersions:
    """Both versions of a register, which together identify it; empty where they are not known."""

    register_version: str = ""
    probe_version: str = ""


@dataclass(frozen=True, slots=True)
class FactColumns:
    """The measured facts besides the outcome, as columns of n rows.

    ``numbers`` (8, n) int64 by FACTS: microseconds, epoch seconds of the expiry, -1 unset; ``detail`` (n,) indexes
    ``details``.
    """

    numbers: NDArray[np.int64]
    detail: NDArray[np.int64]
    details: tuple[str, ...]


FACTS = ("latency", "data_age", *PHASES, "certificate_expiry")
"""Rows of ``FactColumns.numbers``."""


@dataclass(frozen=True, slots=True)
class MeasurementColumns:
    """One batch as numpy columns of n rows; ``target`` indexes ``targets``.

    ``slot_start`` int64 epoch seconds, ``time`` int64 epoch microseconds (-1 unset), ``outcome`` and ``reason`` uint8.
    ``delayed`` marks rows that were stored long after their slot (docs/method.md §2); None where none was. ``latency`` and
    ``data_age``, int64 microseconds (-1 unset), are set only for judging again; ``facts`` only where they are shown.
    ``prober`` measured them, by the register with the versions ``register``.
    """

    vantage: str
    targets: tuple[Target, ...]
    target: NDArray[np.int64]
    slot_start: NDArray[np.int64]
    time: NDArray[np.int64]
    outcome: NDArray[np.uint8]
    reason: NDArray[np.uint8]
    delayed: NDArray[np.bool_] | None = None
    latency: NDArray[np.int64] | None = None
    data_age: NDArray[np.int64] | None = None
    facts: FactColumns | None = None
    register: RegisterVersions = RegisterVersions()
    prober: str = ""

    def __len__(self) -> int:
        return len(self.target)

    def rows(self, positions: NDArray[np.int64]) -> MeasurementColumns:
        """Return some of the rows, by position."""
        facts, delayed, latency, data_age = self.facts, self.delayed, self.latency, self.data_age
        return replace(
            self,
            target=self.target[positions],
            slot_start=self.slot_start[positions],
            time=self.time[positions],
            outcome=self.outcome[positions],
            reason=self.reason[positions],
            delayed=None if delayed is None else delayed[positions],
            latency=None if latency is None else latency[positions],
            data_age=None if data_age is None else data_age[positions],
            facts=None
            if facts is None
            else FactColumns(facts.numbers[:, positions], facts.detail[positions], facts.details),
        )


@dataclass(frozen=True, slots=True)
class RecentRows:
    """m measurements of several targets and vantages, as columns.

    ``numbers`` (14, m) int64: target and vantage as positions in the tables of their RecentBlock, then slot start, time,
    outcome and reason as in MeasurementColumns, then FACTS. ``details`` (m,) are str objects.
    """

    numbers: NDArray[np.int64]
    details: NDArray[np.object_]
