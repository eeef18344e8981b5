"""Every link of a register with what the bus carried of it, per window (EXCHANGE.md, Reconciliation)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from services.core.model import Register
from services.core.reconciliation import Carrier, Estimate, Reconciliation, Traffic, Volume
from services.indicator.frame import Frame
from services.indicator.odds import Bounds
from services.indicator.reconcile import DAY_HOURS, Agreement, Hours, agreement
from services.indicator.traffic import Assignment, assign, traffic
from services.indicator.volume import VolumeChange, volume_change

__all__ = ["Carried", "Probed", "linked", "reconcile", "traffics"]


@dataclass(frozen=True, slots=True, eq=False)
class Carried:
    """What c ``carriers`` carried in h consecutive hours from ``first_hour`` (hours since 1970): (c, h) each.

    ``began`` is the hour of the first exchange ever kept, before which nothing is known; ``whole`` is the first hour that
    is not over yet, so that volumes before it are final.
    """

    carriers: tuple[Carrier, ...]
    first_hour: int
    exchanges: NDArray[np.int64]
    ok: NDArray[np.int64]
    began: int
    whole: int


@dataclass(frozen=True, slots=True, eq=False)
class Probed:
    """Slots known and answered (from INVALID on) of some links, named by position in the frame: (links, h) each."""

    rows: NDArray[np.int64]
    known: NDArray[np.int64]
    answered: NDArray[np.int64]


def linked(register: Register, frame: Frame, carriers: Sequence[Carrier]) -> NDArray[np.int64]:
    """Return the positions of the links of which exchanges are known: those whose probes are needed."""
    found = assign(register, carriers)
    links = found.own.keys() | found.shares.keys()
    return np.array([at for at, link in enumerate(frame.links) if link in links], dtype=np.int64)


def reconcile(
    register: Register, frame: Frame, carried: Carried, probed: Probed, windows: Mapping[int, tuple[int, range]]
) -> Iterator[Reconciliation]:
    """Yield each link that exchanges are known of, or that is silent, per window of days and in id order.

    ``windows`` maps days to the window's first hour and to its days as ordinals; every window ends where ``carried`` does.
    """
    found = assign(register, carried.carriers)
    exchanges, ok = (_by_link(frame, found, probed.rows, of) for of in (carried.exchanges, carried.ok))
    begin, whole = max(0, carried.began - carried.first_hour), carried.whole - carried.first_hour
    volume = volume_change(exchanges[:, begin : max(begin, whole)])
    for days, (first, dates) in windows.items():
        part = slice(first - carried.first_hour, None)
        agreed = agreement(Hours(exchanges[:, part], ok[:, part], probed.known[:, part], probed.answered[:, part]))
        totals, succeeded = (of[:, part].sum(axis=1).tolist() for of in (exchanges, ok))
        silent = _silent(register, frame, found, carried, first, dates)
        at = {frame.links[row]: position for position, row in enumerate(probed.rows.tolist())}
        for link in sorted({*silent, *(link for link, position in at.items() if totals[position])}):
            if link in silent:
                yield Reconciliation(link, days, 0, shared=link in found.shares, silent=True)
                continue
            position = at[link]
            one = Reconciliation(
                link=link,
                window_days=days,
                exchanges=totals[position],
                ok=succeeded[position],
                shared=link in found.shares,
                silent=False,
                volume=_volume(volume, position),
            )
            yield _with(one, agreed, position)


def traffics(register: Register, carried: Carried, windows: Mapping[int, tuple[int, range]]) -> tuple[Traffic, ...]:
    """Return the traffic of each window."""
    return tuple(
        traffic(
            register,
            carried.carriers,
            exchanges=carried.exchanges[:, first - carried.first_hour :].sum(axis=1),
            ok=carried.ok[:, first - carried.first_hour :].sum(axis=1),
            window_days=days,
        )
        for days, (first, _) in windows.items()
    )


def _by_link(frame: Frame, found: Assignment, rows: NDArray[np.int64], of: NDArray[np.int64]) -> NDArray[np.int64]:
    """Sum a link's own and shared carriers: what several links share is the whole of it for each, never split."""
    sums = np.zeros((len(rows), of.shape[1]), np.int64)
    for position, row in enumerate(rows.tolist()):
        link = frame.links[row]
        sums[position] = of[[*found.own.get(link, ()), *found.shares.get(link, ())]].sum(axis=0)
    return sums


def _silent(
    register: Register, frame: Frame, found: Assignment, carried: Carried, first: int, dates: range
) -> frozenset[str]:
    """Links live on every day of the window that nothing is known to be exchanged on, in a day or more of reading.

    Exchanges of its pair that map to no link might be its own: then nothing is said.
    """
    part = carried.exchanges[:, first - carried.first_hour :].sum(axis=1)
    read = carried.first_hour + carried.exchanges.shape[1] - max(first, carried.began)
    if read < DAY_HOURS or not part.any():
        return frozenset()
    live = (np.maximum(frame.live_from, frame.required_from) <= dates.start) & (frame.required_until >= dates.stop)
    silent = set()
    for row in np.flatnonzero(live).tolist():
        link = frame.links[row]
        pair = register.consumer(register.links[link]), register.links[link].provider
        heard = [*found.own.get(link, ()), *found.shares.get(link, ()), *found.other.get(pair, ())]
        if not part[heard].any():
            silent.add(link)
    return frozenset(silent)


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


def _answered(failed: Bounds, at: int) -> Estimate:
    return Estimate(*(float(1.0 - one[at]) for one in (failed.loss, failed.high, failed.low)))


def _volume(of: VolumeChange, at: int) -> Volume:
    expected, deviation, trend = (
        None if np.isnan(one[at]) else float(one[at]) for one in (of.expected, of.deviation, of.trend)
    )
    return Volume(int(of.seen[at]), expected, deviation, bool(of.unusual[at]), trend)
