"""Indicators and structures as values (docs/method.md §5, §7)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

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


FEWEST_OUTAGES: Final = 2
"""Fewer outages than this say little about how often outages occur, and nothing about how much their lengths vary."""


@dataclass(frozen=True, slots=True)
class Interval:
    """An interval of the long-run value, at a confidence ``level`` (docs/method.md §6).

    It rests on this number of ``outages`` (§6.12), None in figures older than method 5.
    """

    low: float
    high: float
    level: float
    outages: int | None = None

    @property
    def assumed(self) -> bool:
        """Whether the lower end mostly reflects prior assumptions, because fewer than two outages were seen."""
        return self.outages is not None and self.outages < FEWEST_OUTAGES


@dataclass(frozen=True, slots=True)
class Losses:
    """1 - point by the stage at which inquiries were lost; shares in [0, 1]."""

    not_connected: float = 0.0
    not_answered: float = 0.0
    invalid: float = 0.0
    late: float = 0.0
    stale: float = 0.0

    @property
    def total(self) -> float:
        """The sum of the losses at all stages; also 0 where nothing is known."""
        return self.not_connected + self.not_answered + self.invalid + self.late + self.stale


@dataclass(frozen=True, slots=True)
class StrictShare:
    """E: the share of slots in which every link of a service worked at once, with its bounds."""

    point: float | None
    lower: float
    upper: float


class RankBasis(LabelledEnum):
    """The basis of a band of ranks; numbers are those of peyvand.v1.RankBasis.

    INTERVALS: the intervals that lie wholly above or below. SENSITIVITY: the middle nine tenths of sensitivity cases.
    """

    INTERVALS = 1
    SENSITIVITY = 2


@dataclass(frozen=True, slots=True)
class RankBand:
    """The ranks that an agency may have among ``agencies`` in its role, 1 being the best (docs/method.md §7.6, §7.9)."""

    low: int
    high: int
    basis: RankBasis
    agencies: int


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


@dataclass(frozen=True, slots=True)
class SetIndex:
    """The index of a set of ``links`` with its bounds; ``point`` is None when it is not publishable."""

    links: int
    point: float | None
    lower: float
    upper: float
    known_share: float


@dataclass(frozen=True, slots=True)
class ProviderRole:
    """How much depends on one provider.

    ``links`` is the number of links it must answer, ``share`` their share of the government's weight, and ``loss`` the
    part of that weight that is not served; unknown counts as not served. ``strict_loss`` is how far the government's E
    falls when the provider answers nobody.
    """

    provider: str
    links: int
    share: float
    loss: float
    strict_loss: float


@dataclass(frozen=True, slots=True)
class Structure:
    """The islands panel of one window; shares in [0, 1], None where a measure does not apply.

    A pair is a consumer and a provider, in this order. It is *required* when a link between them is in force and has weight,
    and *works* when one of these links was OK. ``pairs_absent`` pairs have only absent links; nothing is known about
    ``pairs_unknown``. ``…_upper`` and ``fragmentation_lower`` are the values if everything unknown had been OK.

    ``isolates`` and ``islands`` cover the agencies in a required pair; islands are ordered by size, largest first, then
    by first id. ``weakest`` is the node on which most of E depends: a provider's id, empty for the bus or without a
    resilience. ``resilience`` is the share of E that remains when that node fails. ``bus_links`` go over the bus, whose
    failure costs ``bus_strict_loss``. ``declared`` is the share of the weight on links that are not absent.
    ``providers`` are in id order.
    """

    window_days: int
    pairs_required: int
    pairs_working: int
    pairs_absent: int
    pairs_unknown: int
    pair_coverage: float
    pair_coverage_upper: float
    pair_coverage_weighted: float
    pair_coverage_weighted_upper: float
    isolates: tuple[str, ...]
    islands: tuple[tuple[str, ...], ...]
    fragmentation: float
    fragmentation_lower: float
    reciprocity: float | None
    within_sectors: SetIndex
    across_sectors: SetIndex
    silo_gap: float | None
    provider_concentration: float
    providers: tuple[ProviderRole, ...]
    bus_links: int
    bus_strict_loss: float
    resilience: float | None
    weakest: str
    declared: float
    as_of: int = 0
    register_version: str = ""
    method_version: str = ""
    evidence_sequence: int = 0
