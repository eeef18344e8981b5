"""What components tell each other, as values: measurements, exchange summaries, indicators (docs/design.md §5).

services.core.codec turns them into peyvand.v1 messages and back; nothing else touches protobuf.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from services.core.model.outcome import Outcome, Reason
from services.core.model.unfrozen import record

__all__ = [
    "DURATION_BUCKETS",
    "FACTS",
    "ExchangeSummary",
    "Facts",
    "Indicator",
    "Interval",
    "Kind",
    "Losses",
    "Measurement",
    "MeasurementColumns",
    "Phases",
    "RankBand",
    "RecentRows",
    "Strict",
    "Target",
]


@dataclass(frozen=True, slots=True, order=True)
class Target:
    """A link or an endpoint, by id: what a measurement is about."""

    id: str
    endpoint: bool = False


@dataclass(frozen=True, slots=True)
class Phases:
    """Seconds spent in each part of one probe; None when skipped."""

    resolve: float | None = None
    connect: float | None = None
    tls: float | None = None
    processing: float | None = None
    transfer: float | None = None


@record
class Measurement:
    """One published outcome. ``slot_start`` in epoch seconds; ``time`` in epoch seconds, None when shed;
    ``latency`` and ``data_age`` in seconds; ``certificate_expiry`` in epoch seconds. ``stored`` (epoch seconds) and
    ``sequence`` are those of the stream's message, in a dump alone.
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
class Facts:
    """What was measured beside the outcome, as columns of n rows.

    ``numbers`` (8, n) int64 by FACTS: microseconds, epoch seconds of the expiry, -1 unset; ``detail`` (n,) indexes ``details``.
    """

    numbers: NDArray[np.int64]
    detail: NDArray[np.int64]
    details: tuple[str, ...]


FACTS = ("latency", "data_age", "resolve", "connect", "tls", "processing", "transfer", "certificate_expiry")
"""Rows of ``Facts.numbers``."""


@dataclass(frozen=True, slots=True)
class MeasurementColumns:
    """One batch as numpy columns of n rows; ``target`` indexes ``targets``.

    ``slot_start`` int64 epoch seconds, ``time`` int64 epoch microseconds (-1 unset), ``outcome`` and ``reason`` uint8.
    ``latency`` and ``data_age`` int64 microseconds (-1 unset) are there only where somebody wants to judge anew.
    ``facts`` are there where somebody shows them.
    """

    vantage: str
    targets: tuple[Target, ...]
    target: NDArray[np.int64]
    slot_start: NDArray[np.int64]
    time: NDArray[np.int64]
    outcome: NDArray[np.uint8]
    reason: NDArray[np.uint8]
    latency: NDArray[np.int64] | None = None
    data_age: NDArray[np.int64] | None = None
    facts: Facts | None = None

    def __len__(self) -> int:
        return len(self.target)

    def rows(self, kept: NDArray[np.int64]) -> MeasurementColumns:
        """Return some of the rows, by position."""
        facts, latency, data_age = self.facts, self.latency, self.data_age
        return replace(
            self,
            target=self.target[kept],
            slot_start=self.slot_start[kept],
            time=self.time[kept],
            outcome=self.outcome[kept],
            reason=self.reason[kept],
            latency=None if latency is None else latency[kept],
            data_age=None if data_age is None else data_age[kept],
            facts=None if facts is None else Facts(facts.numbers[:, kept], facts.detail[kept], facts.details),
        )


@dataclass(frozen=True, slots=True)
class RecentRows:
    """m measurements of several targets and vantages, as columns.

    ``numbers`` (14, m) int64: target and vantage as positions in tables beside it, then slot start, time, outcome and
    reason as in MeasurementColumns, then FACTS. ``details`` (m,) are str objects.
    """

    numbers: NDArray[np.int64]
    details: NDArray[np.object_]


DURATION_BUCKETS = 40
"""Exchange durations fall into buckets bounded by 2^(i/2) milliseconds, i = 0 … 38; the last is open (about 9 minutes)."""


@dataclass(frozen=True, slots=True)
class ExchangeSummary:
    """What the bus carried between one X-Road client and one X-Road service in one slot.

    It replaces earlier summaries of the same (bus, client, service, slot): the highest revision wins.
    ``consumer``/``provider`` are agency ids or ``_unmapped``; ``link`` is empty unless exactly one link maps.
    """

    consumer: str
    provider: str
    client: str
    service: str
    slot_start: int
    revision: int
    link: str = ""
    shared: bool = False
    meta: bool = False
    count: int = 0
    ok: int = 0
    bus_failures: int = 0
    provider_failures: int = 0
    request_bytes: int = 0
    response_bytes: int = 0
    orphans: int = 0
    skew_ms_sum: float = 0.0
    skew_count: int = 0
    duration_buckets: tuple[int, ...] = (0,) * DURATION_BUCKETS
    duration_ms_sum: float = 0.0


class Kind(IntEnum):
    """What an indicator is about; numbers are those of peyvand.v1.IndicatorKind."""

    GOVERNMENT = 1
    SECTOR = 2
    CONSUMER = 3
    PROVIDER = 4
    SERVICE = 5
    LINK = 6
    ENDPOINT = 7

    @property
    def label(self) -> str:
        """The word used in subjects, labels and on the command line."""
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Interval:
    """Where the long-run value lies, at a confidence ``level`` (docs/method.md §6)."""

    low: float
    high: float
    level: float


@dataclass(frozen=True, slots=True)
class Losses:
    """1 - point by the stage at which inquiries were lost; shares in [0, 1]."""

    not_connected: float = 0.0
    not_answered: float = 0.0
    invalid: float = 0.0
    late: float = 0.0
    stale: float = 0.0


@dataclass(frozen=True, slots=True)
class Strict:
    """E: the share of slots in which every link of a service worked at once, with its bounds."""

    point: float | None
    lower: float
    upper: float


@dataclass(frozen=True, slots=True)
class RankBand:
    """The ranks of an agency, 1 being the best, in the middle nine tenths of the sensitivity cases (docs/method.md §7)."""

    low: int
    high: int


@dataclass(frozen=True, slots=True)
class Indicator:
    """One number with its bounds, its versions and its time (``as_of`` in epoch seconds). Shares are in [0, 1]."""

    kind: Kind
    id: str
    window_days: int
    as_of: int
    point: float | None
    lower: float
    upper: float
    known_share: float
    losses: Losses
    strict: Strict | None = None
    links_required: int = 0
    links_known: int = 0
    links_absent: int = 0
    register_version: str = ""
    probe_version: str = ""
    method_version: str = ""
    evidence_sequence: int = 0
    interval: Interval | None = None
    level: int | None = field(default=None)
    rank_band: RankBand | None = None
