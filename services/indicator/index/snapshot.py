"""Every index of one register version at one moment, as columns and as single indicators."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.core.model import Indicator, IndicatorKind, Interval, Losses, StrictShare
from services.indicator.intervals import LEVEL

__all__ = ["IndicatorColumns", "LinkColumns", "Snapshot"]


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


def _positions(ids: Sequence[str], wanted: Sequence[str]) -> Iterator[int]:
    for one in wanted:
        at = bisect_left(ids, one)
        if at < len(ids) and ids[at] == one:
            yield at


def _unset(value: np.float64) -> float | None:
    return None if np.isnan(value) else float(value)
