"""The Cross-agency Integration Index with its bounds, of every kind of set (docs/method.md §3-5)."""

from __future__ import annotations

import numpy as np

from services.core.model import IndicatorKind, Stage
from services.indicator.array_types import Bools, Floats, Ints
from services.indicator.frozen_evidence import FrozenEvidence
from services.indicator.index.levels import NONE, service_levels
from services.indicator.index.published import published_points
from services.indicator.index.rank_ranges import rank_bands
from services.indicator.index.snapshot import IndicatorColumns, LinkColumns, Snapshot
from services.indicator.intervals import HistorySums, Intervals, OutageHistory
from services.indicator.method_version import METHOD_VERSION
from services.indicator.register_arrays import RegisterArrays
from services.indicator.shares import LinkShares, grouping, link_means, mean_share, upper_bound
from services.indicator.sums import GroupWeights, group_sums, ordered_sum, ratio
from services.indicator.verdicts import WindowCounts

_RANKED = (IndicatorKind.CONSUMER, IndicatorKind.PROVIDER)


def compute_indicators(
    counted: FrozenEvidence, *, evidence_sequence: int = 0, history: HistorySums | None = None
) -> Snapshot:
    """Compute every indicator over the windows that were counted.

    One register version applies to every window as a whole (§1). ``history`` caches sums between calls; the result is the
    same with or without it.
    """
    arrays, past = counted.arrays, OutageHistory(history or HistorySums(), counted)
    columns: dict[tuple[IndicatorKind, int], IndicatorColumns] = {}
    links: dict[int, LinkColumns] = {}
    for days, counts in counted.windows.items():
        shares = LinkShares.of(arrays, counts.slots, counts.counts, counts.paper)
        intervals = Intervals.of(past, shares, days)
        for kind in IndicatorKind:
            columns[kind, days] = (
                _endpoint_columns(arrays, counts, days)
                if kind is IndicatorKind.ENDPOINT
                else _set_columns(counts, shares, intervals, kind, days)
            )
        total = np.array([ordered_sum(shares.omega)])
        links[days] = LinkColumns(
            window_days=days,
            ids=arrays.links,
            slots=counts.slots,
            paper=counts.paper,
            counts=counts.counts,
            omega=ratio(shares.omega, total, otherwise=0.0),
            share=shares.share,
        )
    return Snapshot(
        end_slot=counted.end_slot,
        as_of=counted.calendar.start_of(counted.end_slot),
        register_version=arrays.register_version,
        probe_version=arrays.probe_version,
        method_version=METHOD_VERSION,
        evidence_sequence=evidence_sequence,
        windows=tuple(counted.windows),
        columns=columns,
        links=links,
    )


def _set_columns(
    counts: WindowCounts, shares: LinkShares, intervals: Intervals | None, kind: IndicatorKind, days: int
) -> IndicatorColumns:
    """Compute CII, bounds, interval and losses of every set of links of this kind (§5)."""
    ids, group, weight = grouping(shares, kind)
    arrays, groups, in_force = shares.arrays, len(ids), shares.slots > 0

    def count(links: Bools) -> Ints:
        if kind is IndicatorKind.LINK:
            return links.astype(np.int64)
        return np.bincount(group if links.all() else group[links], minlength=groups)

    if kind is IndicatorKind.LINK:
        means, losses = link_means(shares), np.where(in_force, shares.profile, 0.0)
    else:
        means = mean_share(shares, group, weight, groups)
        lost = np.array([group_sums(group, weight * stage, groups) for stage in shares.profile])
        losses = ratio(lost, means.total[np.newaxis], otherwise=0.0)
    if shares.unset is not None:
        losses = np.where(np.isnan(means.estimate), 0.0, losses)
    strict_point, strict_lower, strict_upper = strict_shares(arrays, counts, kind, groups)
    point = published_points(arrays, means.estimate, means.known_share)
    low, high, outages = (
        (point, point, np.zeros(groups, np.int64)) if intervals is None else intervals.interval(kind, point)
    )
    applies = means.total > 0
    return IndicatorColumns(
        kind=kind,
        window_days=days,
        ids=ids,
        applies=applies,
        estimate=means.estimate,
        point=point,
        lower=means.lower,
        upper=means.upper,
        known_share=means.known_share,
        interval_low=low,
        interval_high=high,
        interval_outages=outages,
        losses=losses.T,
        strict_point=strict_point,
        strict_lower=strict_lower,
        strict_upper=strict_upper,
        links_required=count(in_force),
        links_known=count(in_force & (shares.known > 0)),
        links_absent=count(in_force & arrays.absent),
        level=service_levels(arrays, shares.slots, shares.counts, strict_lower)
        if kind is IndicatorKind.SERVICE
        else np.full(groups, NONE, dtype=np.int8),
        ranks=rank_bands(ids, applies, low, high) if kind in _RANKED else {},
    )


def _endpoint_columns(arrays: RegisterArrays, counts: WindowCounts, days: int) -> IndicatorColumns:
    """Compute endpoints like links that are in force in every slot; never imputed, and never part of the CII."""
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
        point=published_points(arrays, estimate, known_share),
        lower=lower,
        upper=upper,
        known_share=known_share,
        interval_low=unset,
        interval_high=unset,
        interval_outages=none,
        losses=stages[: Stage.OK].T,
        strict_point=unset,
        strict_lower=unset,
        strict_upper=unset,
        links_required=none,
        links_known=none,
        links_absent=none,
        level=np.full(len(slots), NONE, dtype=np.int8),
        ranks={},
    )


def strict_shares(
    arrays: RegisterArrays, counts: WindowCounts, kind: IndicatorKind, groups: int
) -> tuple[Floats, Floats, Floats]:
    """Return E with its bounds (§4): v_s-weighted means over services; providers, links and endpoints have none.

    E is about whether every link works and does not use the weights of links: a link that weighs nothing counts.
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

    def mean(values: Floats, counted: Bools) -> Floats:
        weights = GroupWeights.of(group, np.where(counted, arrays.service_weight, 0.0), groups)
        return weights.means(np.nan_to_num(values), otherwise=np.nan)

    return mean(point, judged > 0), mean(lower, slots > 0), mean(upper, slots > 0)
