"""The Cross-agency Integration Index with its bounds, for every grouping (docs/method.md §3-5)."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.core.model import Indicator, IndicatorKind, Interval, Losses, Stage, StrictShare
from services.indicator.index.levels import NONE, service_levels
from services.indicator.intervals import LEVEL, HistorySums, Intervals, OutageHistory
from services.indicator.register_arrays import RegisterArrays
from services.indicator.shares import (
    LinkShares,
    group_sums,
    grouping,
    link_means,
    link_shares,
    mean_share,
    ordered_sum,
    ratio,
    upper_bound,
)
from services.indicator.verdicts import EvidenceSource, WindowCounts

__all__ = [
    "METHOD_VERSION",
    "TOLERANCE",
    "IndicatorColumns",
    "LinkColumns",
    "Snapshot",
    "compute_indicators",
    "strict_shares",
]

METHOD_VERSION = "3"
"""Changes whenever a formula of docs/method.md does."""

# κ is a sum of shares; sums agree within 10⁻¹² (§5), so a κ that equals the threshold may miss it by as much.
TOLERANCE = 1e-12


@dataclass(frozen=True, slots=True)
class LinkColumns:
    """The evidence behind one window's links, in register order; those with ``slots`` = 0 are not in force.

    ``slots`` (n,), ``counts`` (6, n) known slots per stage, ``omega`` (n,) the link's share of the government's weight,
    ``share`` (n,) q or what was imputed for it (NaN when nothing at all is known).
    """

    window_days: int
    ids: tuple[str, ...]
    slots: NDArray[np.int64]
    counts: NDArray[np.int64]
    omega: NDArray[np.float64]
    share: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class IndicatorColumns:
    """All indicators of one kind and window as columns of m entities, in id order; NaN means unset.

    ``applies`` is False where an entity is N/A (§1): no link in force that weighs anything; it has no indicator.
    ``estimate`` is Σωq̂/Σω, the point before the publish threshold, NaN when nothing at all is known: then the bounds
    are 0 and 1. The interval is there where the point is, except of endpoints. ``losses`` (m, 5) by stage sum to
    1 - estimate, and are 0 without one. ``level`` is that of services, -1 for all else.
    """

    kind: IndicatorKind
    window_days: int
    ids: tuple[str, ...]
    applies: NDArray[np.bool_]
    estimate: NDArray[np.float64]
    point: NDArray[np.float64]
    lower: NDArray[np.float64]
    upper: NDArray[np.float64]
    known_share: NDArray[np.float64]
    losses: NDArray[np.float64]
    interval_low: NDArray[np.float64]
    interval_high: NDArray[np.float64]
    strict_point: NDArray[np.float64]
    strict_lower: NDArray[np.float64]
    strict_upper: NDArray[np.float64]
    links_required: NDArray[np.int64]
    links_known: NDArray[np.int64]
    links_absent: NDArray[np.int64]
    level: NDArray[np.int8]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Every index of one register version at one moment.

    ``as_of`` is the end of the last slot counted, in epoch seconds. ``columns`` per kind and window, ``links`` per window.
    """

    end_slot: int
    as_of: int
    register_version: str
    probe_version: str
    method_version: str
    evidence_sequence: int
    windows: tuple[int, ...]
    columns: Mapping[tuple[IndicatorKind, int], IndicatorColumns]
    links: Mapping[int, LinkColumns]

    def indicator(self, kind: IndicatorKind, entity: str, window: int) -> Indicator | None:
        """Return one indicator, or None where there is none: N/A, or unknown to the register."""
        return next(self.rows(kind, window, [entity]), None)

    def rows(self, kind: IndicatorKind, window: int, ids: Sequence[str] | None = None) -> Iterator[Indicator]:
        """Return the indicators of one kind and window in id order; of ``ids`` only, in their order, when given."""
        columns = self.columns[kind, window]
        wanted = range(len(columns.ids)) if ids is None else _positions(columns.ids, ids)
        return (self._row(columns, at) for at in wanted if columns.applies[at])

    def _row(self, columns: IndicatorColumns, at: int) -> Indicator:
        strict_lower = float(columns.strict_lower[at])
        low = float(columns.interval_low[at])
        strict = StrictShare(_unset(columns.strict_point[at]), strict_lower, float(columns.strict_upper[at]))
        return Indicator(
            kind=columns.kind,
            id=columns.ids[at],
            window_days=columns.window_days,
            as_of=self.as_of,
            point=_unset(columns.point[at]),
            lower=float(columns.lower[at]),
            upper=float(columns.upper[at]),
            known_share=float(columns.known_share[at]),
            interval=None if np.isnan(low) else Interval(low, float(columns.interval_high[at]), LEVEL),
            losses=Losses(*columns.losses[at].tolist()),
            strict=None if np.isnan(strict_lower) else strict,
            links_required=int(columns.links_required[at]),
            links_known=int(columns.links_known[at]),
            links_absent=int(columns.links_absent[at]),
            level=int(columns.level[at]) if columns.level[at] >= 0 else None,
            register_version=self.register_version,
            probe_version=self.probe_version,
            method_version=self.method_version,
            evidence_sequence=self.evidence_sequence,
        )


def compute_indicators(
    arrays: RegisterArrays,
    evidence: EvidenceSource,
    *,
    end_slot: int,
    evidence_sequence: int = 0,
    windows: Sequence[int] | None = None,
    record: HistorySums | None = None,
) -> Snapshot:
    """Compute every indicator over windows that end at ``end_slot`` exclusive; ``windows`` defaults to the policy's.

    One register version applies to every window whole (§1). ``record`` is the memory of who asks again and again; with
    or without it the result is the same.
    """
    chosen = arrays.windows_days if windows is None else tuple(windows)
    past = OutageHistory(record or HistorySums(), arrays, evidence, chosen, end_slot)
    columns: dict[tuple[IndicatorKind, int], IndicatorColumns] = {}
    links: dict[int, LinkColumns] = {}
    for days in chosen:
        counts = evidence.window(arrays, days, end_slot)
        shares = link_shares(arrays, counts.slots, counts.counts)
        margins = Intervals.of(past, shares, days)
        for kind in IndicatorKind:
            columns[kind, days] = (
                _of_endpoints(arrays, counts, days)
                if kind is IndicatorKind.ENDPOINT
                else _of_links(arrays, counts, shares, margins, kind, days)
            )
        total = np.array([ordered_sum(shares.omega)])
        links[days] = LinkColumns(
            window_days=days,
            ids=arrays.links,
            slots=counts.slots,
            counts=counts.counts,
            omega=ratio(shares.omega, total, otherwise=0.0),
            share=shares.share,
        )
    return Snapshot(
        end_slot=end_slot,
        as_of=evidence.calendar.start_of(end_slot),
        register_version=arrays.register_version,
        probe_version=arrays.probe_version,
        method_version=METHOD_VERSION,
        evidence_sequence=evidence_sequence,
        windows=chosen,
        columns=columns,
        links=links,
    )


def _of_links(
    arrays: RegisterArrays,
    counts: WindowCounts,
    shares: LinkShares,
    margins: Intervals | None,
    kind: IndicatorKind,
    days: int,
) -> IndicatorColumns:
    """CII, bounds and losses of every set of links of this kind (§5)."""
    ids, group, weight = grouping(arrays, shares, kind)
    groups, in_force = len(ids), shares.slots > 0

    def number(links: NDArray[np.bool_]) -> NDArray[np.int64]:
        if kind is IndicatorKind.LINK:
            return links.astype(np.int64)
        return np.bincount(group if links.all() else group[links], minlength=groups)

    if kind is IndicatorKind.LINK:
        means, losses = link_means(shares), np.where(in_force, shares.profile, 0.0)
    else:
        means = mean_share(shares, group, weight, groups)
        lost = np.array([group_sums(group, weight * stage, groups) for stage in shares.profile])
        losses = ratio(lost, means.total[np.newaxis], otherwise=0.0)
    strict_point, strict_lower, strict_upper = strict_shares(arrays, counts, kind, groups)
    point = _published(arrays, means.estimate, means.known_share)
    low, high = (point, point) if margins is None else margins.interval(kind, point)
    return IndicatorColumns(
        kind=kind,
        window_days=days,
        ids=ids,
        applies=means.total > 0,
        estimate=means.estimate,
        point=point,
        lower=means.lower,
        upper=means.upper,
        known_share=means.known_share,
        interval_low=low,
        interval_high=high,
        losses=losses.T,
        strict_point=strict_point,
        strict_lower=strict_lower,
        strict_upper=strict_upper,
        links_required=number(in_force),
        links_known=number(in_force & (shares.known > 0)),
        links_absent=number(in_force & arrays.absent),
        level=service_levels(arrays, shares.slots, shares.counts, strict_lower)
        if kind is IndicatorKind.SERVICE
        else np.full(groups, NONE, dtype=np.int8),
    )


def _of_endpoints(arrays: RegisterArrays, counts: WindowCounts, days: int) -> IndicatorColumns:
    """Endpoints by themselves: as links without a register span, imputed from nothing, and never part of the CII."""
    slots, known = counts.endpoint_slots, counts.endpoint_counts.sum(axis=0)
    stages = ratio(counts.endpoint_counts, known[np.newaxis], otherwise=0.0)
    lower = ratio(counts.endpoint_counts[Stage.OK], slots, otherwise=0.0)
    known_share = ratio(known, slots, otherwise=0.0)
    upper = upper_bound(lower, known_share)
    estimate = np.where(known > 0, np.clip(stages[Stage.OK], lower, upper), np.nan)
    unset, none = np.full(len(slots), np.nan), np.zeros(len(slots), dtype=np.int64)
    return IndicatorColumns(
        kind=IndicatorKind.ENDPOINT,
        window_days=days,
        ids=arrays.endpoints,
        applies=slots > 0,
        estimate=estimate,
        point=_published(arrays, estimate, known_share),
        lower=lower,
        upper=upper,
        known_share=known_share,
        interval_low=unset,
        interval_high=unset,
        losses=stages[: Stage.OK].T,
        strict_point=unset,
        strict_lower=unset,
        strict_upper=unset,
        links_required=none,
        links_known=none,
        links_absent=none,
        level=np.full(len(slots), NONE, dtype=np.int8),
    )


def strict_shares(
    arrays: RegisterArrays, counts: WindowCounts, kind: IndicatorKind, groups: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """E with its bounds (§4): v_s-weighted means over services; a provider, a link and an endpoint have none.

    E asks whether every link works, so the weights of links play no part in it: a link that weighs nothing counts.
    """
    slots, up, judged = counts.service_slots, counts.up, counts.up + counts.down
    lower = ratio(up, slots, otherwise=np.nan)
    upper = ratio(slots - counts.down, slots, otherwise=np.nan)
    point = ratio(up, judged, otherwise=np.nan)
    match kind:
        case IndicatorKind.SERVICE:
            return point, lower, upper
        case IndicatorKind.GOVERNMENT:
            group = np.zeros(len(arrays.services), dtype=np.int64)
        case IndicatorKind.SECTOR:
            group = arrays.service_sector
        case IndicatorKind.CONSUMER:
            group = arrays.service_consumer
        case _:
            unset = np.full(groups, np.nan)
            return unset, unset, unset

    def mean(values: NDArray[np.float64], over: NDArray[np.bool_]) -> NDArray[np.float64]:
        weight = np.where(over, arrays.service_weight, 0.0)
        weighed = group_sums(group, weight * np.nan_to_num(values), groups)
        return ratio(weighed, group_sums(group, weight, groups), otherwise=np.nan)

    return mean(point, judged > 0), mean(lower, slots > 0), mean(upper, slots > 0)


def _published(
    arrays: RegisterArrays, estimate: NDArray[np.float64], known_share: NDArray[np.float64]
) -> NDArray[np.float64]:
    return np.where(known_share >= arrays.publish_threshold - TOLERANCE, estimate, np.nan)


def _positions(ids: Sequence[str], wanted: Sequence[str]) -> Iterator[int]:
    for one in wanted:
        at = bisect_left(ids, one)
        if at < len(ids) and ids[at] == one:
            yield at


def _unset(value: np.float64) -> float | None:
    return None if np.isnan(value) else float(value)
