"""The structure of the links between agencies, as values (docs/method.md §7, Structure)."""

from __future__ import annotations

from dataclasses import dataclass


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
    """What depends on one provider.

    ``links`` it must answer; ``share`` of the government's weight on them; ``loss`` of that weight not served, unknown
    counted as not served; ``strict_loss`` is how far the government's E falls when the provider answers nobody.
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
    ``pairs_unknown``. ``…_upper`` and ``fragmentation_lower`` are the values if everything unknown had been OK. ``isolates``
    and ``islands`` are of the agencies in a required pair; islands are ordered by size, largest first, then by first id.
    ``resilience`` is the share of E that remains when the node that most of it depends on fails: ``weakest``, a provider's
    id, empty for the bus or without a resilience. ``bus_links`` go over the bus, whose failure costs ``bus_strict_loss``.
    ``declared`` is the share of the weight on links that are not absent. ``providers`` are in id order.
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
