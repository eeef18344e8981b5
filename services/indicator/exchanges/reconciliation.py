"""Every link of a register with what the bus carried of it, per window (docs/exchange.md §4)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from services.core.model import Estimate, Flow, Reconciliation, Register, Traffic, Volume
from services.indicator.array_types import Bools, Ints
from services.indicator.exchanges.agreement import Agreement, HourlyCounts, compare_hours
from services.indicator.exchanges.silence import SILENCE_DAYS, Silence, judge_silence
from services.indicator.exchanges.traffic import FlowsByLink, sum_traffic
from services.indicator.exchanges.volume import VolumeChange, volume_change
from services.indicator.intervals import LossBounds
from services.indicator.register_arrays import RegisterArrays

__all__ = [
    "DailyFlows",
    "WindowSpan",
    "find_silent_links",
    "flows_per_link",
    "links_with_flows",
    "reconcile_links",
    "traffic_by_window",
]

_HOUR_SECONDS = 3_600


@dataclass(frozen=True, slots=True, eq=False)
class DailyFlows:
    """What c ``carriers`` carried on d days of the policy's calendar, from the ordinal ``first_day`` on: (c, d) each.

    ``since`` is the hour (hours since 1970) of the first exchange, before which nothing is known.
    """

    carriers: tuple[Flow, ...]
    first_day: int
    exchanges: Ints
    ok: Ints
    since: int


@dataclass(frozen=True, slots=True)
class WindowSpan:
    """A window: its hours since 1970, its days as ordinals, and its end in epoch seconds. All of a policy end together."""

    hours: range
    days: range
    end: int


def links_with_flows(arrays: RegisterArrays, found: FlowsByLink) -> list[int]:
    """Return the positions of the links of which exchanges are known: those whose probes are needed."""
    links = found.own.keys() | found.shares.keys()
    return [at for at, link in enumerate(arrays.links) if link in links]


def flows_per_link(found: FlowsByLink, links: Sequence[str]) -> list[list[int]]:
    """Return the positions of each link's own and shared carriers: what is shared is the whole of it for each link."""
    return [[*found.own.get(link, ()), *found.shares.get(link, ())] for link in links]


def reconcile_links(
    links: Sequence[str],
    found: FlowsByLink,
    of: HourlyCounts,
    windows: Mapping[int, WindowSpan],
    *,
    clock: Ints,
    since: int,
    whole: int,
) -> Iterator[Reconciliation]:
    """Yield what is found of each link that anything was exchanged on, per window of days.

    ``of`` are the hours of the longest window, whose exchanges begin with ``since``; those from the hour ``whole`` on may
    not be all there yet, so that volumes are judged before it, by the local hours that they begin in, ``clock`` (h,).
    """
    first = min((span.hours.start for span in windows.values()), default=0)
    begin = max(0, since - first)
    end = max(begin, whole - first)
    volume = volume_change(of.exchanges[:, begin:end], clock[begin:end])
    # As all windows end together, the last hour of the longest is that of each in which anything was exchanged.
    back = (of.exchanges[:, ::-1] > 0).argmax(axis=1)
    last = (_HOUR_SECONDS * (first + of.exchanges.shape[1] - 1 - back)).tolist()
    for days, span in windows.items():
        part = slice(span.hours.start - first, None)
        agreed = compare_hours(
            HourlyCounts(of.exchanges[:, part], of.ok[:, part], of.known[:, part], of.answered[:, part])
        )
        totals, succeeded = (counts[:, part].sum(axis=1).tolist() for counts in (of.exchanges, of.ok))
        for at in [at for at, total in enumerate(totals) if total]:
            one = Reconciliation(
                link=links[at],
                window_days=days,
                exchanges=totals[at],
                ok=succeeded[at],
                shared=links[at] in found.shares,
                silent=False,
                volume=_volume(volume, at),
                as_of=span.end,
                last_hour=last[at],
            )
            yield _with(one, agreed, at)


def find_silent_links(
    register: Register,
    arrays: RegisterArrays,
    found: FlowsByLink,
    carried: DailyFlows,
    windows: Mapping[int, WindowSpan],
) -> dict[int, tuple[list[Reconciliation], float | None]]:
    """Return per window the links live on every day of it that are silent, and the share of those in use that is unseen.

    Exchanges of its pair that map to no link might be its own: then nothing is said of a link.
    """
    if not carried.exchanges.any():
        return {days: ([], None) for days in windows}
    heard = _heard(register, arrays, found, carried.exchanges > 0)
    return {days: _silent(arrays, found, heard, carried, span, days) for days, span in windows.items()}


def _heard(register: Register, arrays: RegisterArrays, found: FlowsByLink, used: Bools) -> Bools:
    """Tell on which days anything is known that may have been exchanged on each link, (links, days)."""
    heard = np.zeros((len(arrays.links), used.shape[1]), np.bool_)
    for row, (link, of) in enumerate(zip(arrays.links, flows_per_link(found, arrays.links), strict=True)):
        pair = register.consumer(register.links[link]), register.links[link].provider
        if carriers := [*of, *found.other.get(pair, ())]:
            heard[row] = used[carriers].any(axis=0)
    return heard


def _silent(
    arrays: RegisterArrays, found: FlowsByLink, heard: Bools, carried: DailyFlows, span: WindowSpan, days: int
) -> tuple[list[Reconciliation], float | None]:
    if span.hours.stop - max(span.hours.start, carried.since) < SILENCE_DAYS * 24:
        return [], None
    live = arrays.required.live_throughout(span.days)
    read = int(np.flatnonzero(carried.exchanges.any(axis=0))[0])
    window = span.days.start - carried.first_day
    judged: Silence = judge_silence(heard[live, read:], max(0, window - read))
    links = [arrays.links[row] for row in np.flatnonzero(live)[judged.silent].tolist()]
    silent = [Reconciliation(link, days, 0, shared=link in found.shares, silent=True, as_of=span.end) for link in links]
    return silent, judged.unseen


def traffic_by_window(
    arrays: RegisterArrays, carried: DailyFlows, windows: Mapping[int, WindowSpan], unseen: Mapping[int, float | None]
) -> tuple[Traffic, ...]:
    """Return the traffic of each window."""
    pairs = set(zip(arrays.consumer.tolist(), arrays.provider.tolist(), strict=True))
    declared = {(arrays.agencies[consumer], arrays.agencies[provider]) for consumer, provider in pairs}
    return tuple(
        replace(
            sum_traffic(
                declared,
                carried.carriers,
                exchanges=carried.exchanges[:, span.days.start - carried.first_day :].sum(axis=1),
                ok=carried.ok[:, span.days.start - carried.first_day :].sum(axis=1),
                window_days=days,
            ),
            read_days=(span.hours.stop - carried.since) / 24 if carried.exchanges.any() else 0.0,
            unseen_share=unseen[days],
            as_of=span.end,
        )
        for days, span in windows.items()
    )


def _with(one: Reconciliation, of: Agreement, at: int) -> Reconciliation:
    one = replace(one, compared=int(of.compared[at]))
    if not of.told[at]:
        return one
    difference = (of.difference, of.difference_low, of.difference_high)
    return replace(
        one,
        logs=_answered(of.logs, at),
        probes=_answered(of.probes, at),
        difference=Estimate(*(float(bound[at]) for bound in difference)),
        disagrees=bool(of.disagrees[at]),
    )


def _answered(failed: LossBounds, at: int) -> Estimate:
    return Estimate(*(float(1.0 - one[at]) for one in (failed.loss, failed.high, failed.low)))


def _volume(of: VolumeChange, at: int) -> Volume:
    expected, deviation, trend = (
        None if np.isnan(one[at]) else float(one[at]) for one in (of.expected, of.deviation, of.trend)
    )
    return Volume(int(of.seen[at]), expected, deviation, bool(of.unusual[at]), trend)
