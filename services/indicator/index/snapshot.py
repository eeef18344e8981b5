"""The values of an index: columns of indicators and of links, and single indicators from them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from services.core.model import Indicator, IndicatorKind, Interval, Losses, RankBand, StrictShare
from services.indicator.array_types import Bools, Codes, Floats, Ints
from services.indicator.intervals import LEVEL
from services.indicator.register_arrays import position_of


@dataclass(frozen=True, slots=True)
class LinkColumns:
    """The evidence of one window's links, in register order; those with ``slots`` = 0 are not in force.

    ``slots`` (n,), ``paper`` (n,) of them before the link was live, ``counts`` (6, n) known slots per stage, ``omega`` (n,) the
    link's share of the government's weight, ``share`` (n,) q or what was imputed for it (NaN without anything to impute from).
    """

    window_days: int
    ids: tuple[str, ...]
    slots: Ints
    paper: Ints
    counts: Ints
    omega: Floats
    share: Floats


@dataclass(frozen=True, slots=True)
class IndicatorColumns:
    """All indicators of one kind and window as columns of m entities, in id order; NaN means unset.

    ``applies`` is False where an entity is N/A (§1): without a link in force that weighs anything, it has no indicator.
    ``estimate`` is Σωq̂/Σω, the point before the publish threshold. It is NaN where a link that was not measured has
    nothing to be imputed from. Entities with a point, except endpoints, have an interval, which rests on
    ``interval_outages``. ``losses`` (m, 5) by stage sum to 1 - estimate, and are 0 without an estimate. ``level`` is
    that of services, -1 for other kinds. ``ranks`` are those of agencies with an interval, by id.
    """

    kind: IndicatorKind
    window_days: int
    ids: tuple[str, ...]
    applies: Bools
    estimate: Floats
    point: Floats
    lower: Floats
    upper: Floats
    known_share: Floats
    losses: Floats
    interval_low: Floats
    interval_high: Floats
    interval_outages: Ints
    strict_point: Floats
    strict_lower: Floats
    strict_upper: Floats
    links_required: Ints
    links_known: Ints
    links_absent: Ints
    level: Codes
    ranks: Mapping[str, RankBand]


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
        """Return one indicator; None when it is N/A or not in the register."""
        return next(self.rows(kind, window, [entity]), None)

    def rows(self, kind: IndicatorKind, window: int, ids: Sequence[str] | None = None) -> Iterator[Indicator]:
        """Return the indicators of one kind and window in id order, or those of ``ids`` in their order."""
        columns = self.columns[kind, window]
        rows = range(len(columns.ids)) if ids is None else (position_of(columns.ids, name) for name in ids)
        return (self._indicator(columns, row) for row in rows if row is not None and columns.applies[row])

    def _indicator(self, columns: IndicatorColumns, row: int) -> Indicator:
        strict_lower = float(columns.strict_lower[row])
        low = float(columns.interval_low[row])
        strict = StrictShare(_unset(columns.strict_point[row]), strict_lower, float(columns.strict_upper[row]))
        return Indicator(
            kind=columns.kind,
            id=columns.ids[row],
            window_days=columns.window_days,
            as_of=self.as_of,
            point=_unset(columns.point[row]),
            lower=float(columns.lower[row]),
            upper=float(columns.upper[row]),
            known_share=float(columns.known_share[row]),
            interval=None
            if np.isnan(low)
            else Interval(low, float(columns.interval_high[row]), LEVEL, int(columns.interval_outages[row])),
            losses=Losses(*columns.losses[row].tolist()),
            strict=None if np.isnan(strict_lower) else strict,
            links_required=int(columns.links_required[row]),
            links_known=int(columns.links_known[row]),
            links_absent=int(columns.links_absent[row]),
            level=int(columns.level[row]) if columns.level[row] >= 0 else None,
            rank_band=columns.ranks.get(columns.ids[row]),
            register_version=self.register_version,
            probe_version=self.probe_version,
            method_version=self.method_version,
            evidence_sequence=self.evidence_sequence,
        )


def _unset(value: np.float64) -> float | None:
    return None if np.isnan(value) else float(value)
