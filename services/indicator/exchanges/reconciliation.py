"""Compares the links of a register with the exchanges over the bus, per window (docs/exchange.md §4)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from services.core.model import Estimate, Flow, Reconciliation, Register, Traffic, Volume
from services.indicator.array_types import Bools, Floats, Ints
from services.indicator.calendar import HOUR_SECONDS
from services.indicator.exchanges.agreement import Agreement, HourlyCounts, compare_hours
from services.indicator.exchanges.silence import SILENCE_DAYS, judge_silence
from services.indicator.exchanges.traffic import FlowsByLink, sum_traffic
from services.indicator.exchanges.volume import VolumeChange, volume_change
from services.indicator.intervals import LossBounds
from services.indicator.register_arrays import RegisterArrays


@dataclass(frozen=True, slots=True, eq=False)
class DailyFlows:
    """The exchanges of f ``flows`` on d days of the policy's calendar, from the ordinal ``first_day`` on: (f, d) each.

    ``since`` is the hour (hours since 1970) of the first exchange, before which nothing is known.
    """

    flows: tuple[Flow, ...]
    first_day: int
    exchanges: Ints
    ok: Ints
    since: int


@dataclass(frozen=True, slots=True)
class WindowSpan:
    """A window: its hours since 1970, its days as ordinals, and its end in epoch seconds, the same for all windows."""

    hours: range
    days: range
    end: int


def links_with_flows(arrays: RegisterArrays, by_link: FlowsByLink) -> list[int]:
    """Return the positions of the links with known exchanges, whose probes are needed."""
    links = by_link.own.keys() | by_link.shared.keys()
    return [position for position, link in enumerate(arrays.links) if link in links]


def flows_per_link(by_link: FlowsByLink, links: Sequence[str]) -> list[list[int]]:
    """Return the positions of each link's own and shared flows; a shared flow counts in full for each of its links."""
    return [[*by_link.own.get(link, ()), *by_link.shared.get(link, ())] for link in links]


def reconcile_links(
    links: Sequence[str],
    by_link: FlowsByLink,
    counts: HourlyCounts,
    windows: Mapping[int, WindowSpan],
    *,
    clock: Ints,
    since: int,
    whole: int,
) -> Iterator[Reconciliation]:
    """Yield the reconciliation of each link with exchanges, per window of days.

    ``counts`` cover the hours of the longest window; exchanges begin with the hour ``since``. Hours from ``whole`` on may
    be incomplete, so volumes end before it. ``clock`` (h,) is the local hour in which each hour begins.
    """
    first = min((span.hours.start for span in windows.values()), default=0)
    begin = max(0, since - first)
    end = max(begin, whole - first)
    volume = volume_change(counts.exchanges[:, begin:end], clock[begin:end])
    # All windows end together, so the last hour of the longest is that of each window with exchanges.
    back = (counts.exchanges[:, ::-1] > 0).argmax(axis=1)
    last_hour = (HOUR_SECONDS * (first + counts.exchanges.shape[1] - 1 - back)).tolist()
    for days, span in windows.items():
        of_window = counts.since(span.hours.start - first)
        agreement = compare_hours(of_window)
        exchanges, ok = of_window.exchanges.sum(axis=1).tolist(), of_window.ok.sum(axis=1).tolist()
        for row in [row for row, number in enumerate(exchanges) if number]:
            reconciliation = Reconciliation(
                link=links[row],
                window_days=days,
                exchanges=exchanges[row],
                ok=ok[row],
                shared=links[row] in by_link.shared,
                silent=False,
                volume=_volume(volume, row),
                as_of=span.end,
                last_hour=last_hour[row],
                compared=int(agreement.compared[row]),
            )
            yield _add_agreement(reconciliation, agreement, row) if agreement.sufficient[row] else reconciliation


def find_silent_links(
    register: Register,
    arrays: RegisterArrays,
    by_link: FlowsByLink,
    daily: DailyFlows,
    windows: Mapping[int, WindowSpan],
) -> dict[int, tuple[list[Reconciliation], float | None]]:
    """Return, per window, the silent links among those live on all its days, and the unseen share of links in use.

    A link is not silent if its pair has exchanges that map to no link, because they might be its own.
    """
    if not daily.exchanges.any():
        return {days: ([], None) for days in windows}
    used = _days_of_use(register, arrays, by_link, daily.exchanges > 0)
    return {days: _silent(arrays, by_link, used, daily, span, days) for days, span in windows.items()}


def _days_of_use(register: Register, arrays: RegisterArrays, by_link: FlowsByLink, used: Bools) -> Bools:
    """Return the days on which each link may have had exchanges, (links, days)."""
    days = np.zeros((len(arrays.links), used.shape[1]), np.bool_)
    for row, (link, flows) in enumerate(zip(arrays.links, flows_per_link(by_link, arrays.links), strict=True)):
        pair = register.consumer(register.links[link]), register.links[link].provider
        if possible := [*flows, *by_link.unassigned.get(pair, ())]:
            days[row] = used[possible].any(axis=0)
    return days


def _silent(
    arrays: RegisterArrays, by_link: FlowsByLink, used: Bools, daily: DailyFlows, span: WindowSpan, days: int
) -> tuple[list[Reconciliation], float | None]:
    if span.hours.stop - max(span.hours.start, daily.since) < SILENCE_DAYS * 24:
        return [], None
    live = arrays.required.live_throughout(span.days)
    first = int(np.flatnonzero(daily.exchanges.any(axis=0))[0])
    window = span.days.start - daily.first_day
    silence = judge_silence(used[live, first:], max(0, window - first))
    links = [arrays.links[row] for row in np.flatnonzero(live)[silence.silent].tolist()]
    silent = [
        Reconciliation(link, days, 0, shared=link in by_link.shared, silent=True, as_of=span.end) for link in links
    ]
    return silent, silence.unseen


def traffic_by_window(
    arrays: RegisterArrays, daily: DailyFlows, windows: Mapping[int, WindowSpan], unseen: Mapping[int, float | None]
) -> tuple[Traffic, ...]:
    """Return the traffic of each window."""
    pairs = set(zip(arrays.consumer.tolist(), arrays.provider.tolist(), strict=True))
    declared = {(arrays.agencies[consumer], arrays.agencies[provider]) for consumer, provider in pairs}
    return tuple(
        replace(
            sum_traffic(
                declared,
                daily.flows,
                exchanges=daily.exchanges[:, span.days.start - daily.first_day :].sum(axis=1),
                ok=daily.ok[:, span.days.start - daily.first_day :].sum(axis=1),
                window_days=days,
            ),
            read_days=(span.hours.stop - daily.since) / 24 if daily.exchanges.any() else 0.0,
            unseen_share=unseen[days],
            as_of=span.end,
        )
        for days, span in windows.items()
    )


def _add_agreement(reconciliation: Reconciliation, agreement: Agreement, row: int) -> Reconciliation:
    difference = (agreement.difference, agreement.difference_low, agreement.difference_high)
    return replace(
        reconciliation,
        logs=_answered(agreement.logs, row),
        probes=_answered(agreement.probes, row),
        difference=Estimate(*(float(values[row]) for values in difference)),
        disagrees=bool(agreement.disagrees[row]),
    )


def _answered(failed: LossBounds, row: int) -> Estimate:
    return Estimate(*(float(1.0 - values[row]) for values in (failed.loss, failed.high, failed.low)))


def _volume(change: VolumeChange, row: int) -> Volume:
    def known(values: Floats) -> float | None:
        return None if np.isnan(values[row]) else float(values[row])

    return Volume(
        recent=int(change.seen[row]),
        expected=known(change.expected),
        trend=known(change.trend),
    )
