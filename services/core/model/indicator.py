"""Indicators as values: the index of a government, a sector, an agency, a service or a link (docs/method.md §5)."""

from __future__ import annotations

from dataclasses import dataclass

from services.core.model.outcome import LabelledEnum


class IndicatorKind(LabelledEnum):
    """The kind of entity that an indicator is about; numbers are those of peyvand.v1.IndicatorKind."""

    GOVERNMENT = 1
    SECTOR = 2
    CONSUMER = 3
    PROVIDER = 4
    SERVICE = 5
    LINK = 6
    ENDPOINT = 7


@dataclass(frozen=True, slots=True)
class Interval:
    """An interval of the long-run value, at a confidence ``level`` (docs/method.md §6)."""

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
class StrictShare:
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

    kind: IndicatorKind
    id: str
    window_days: int
    as_of: int
    point: float | None
    lower: float
    upper: float
    known_share: float
    losses: Losses
    strict: StrictShare | None = None
    links_required: int = 0
    links_known: int = 0
    links_absent: int = 0
    register_version: str = ""
    probe_version: str = ""
    method_version: str = ""
    evidence_sequence: int = 0
    interval: Interval | None = None
    level: int | None = None
    rank_band: RankBand | None = None
