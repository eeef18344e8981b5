"""Measures how far choices of method move the ranks of agencies: bands and Sobol' indices (docs/method.md §7.6). Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from services.core.model import IndicatorKind, RankBand, RankBasis, RankSensitivity, SwitchIndex
from services.indicator.array_types import Floats, Ints
from services.indicator.index import TOLERANCE
from services.indicator.register_arrays import RegisterArrays
from services.indicator.sensitivity.cases import SWITCHES, SwitchCases, compute_cases
from services.indicator.sensitivity.sobol import estimate_indices
from services.indicator.verdicts import WindowCounts

BAND: Final = (0.05, 0.95)
"""The quantiles of the cases between which a rank band lies."""


@dataclass(frozen=True, slots=True)
class Ranking:
    """The agencies in one role: the rank of each in the headline, its band, and the effect of each switch.

    Agencies without an index in the headline have no rank, and are left out of every case (ADR 72).
    """

    kind: IndicatorKind
    ranks: dict[str, int]
    bands: dict[str, RankBand]
    moved: RankSensitivity


def analyse_ranks(
    arrays: RegisterArrays,
    counted: Mapping[tuple[float, float, int], WindowCounts],
    *,
    windows: Sequence[int],
    window: int,
    volumes: Ints | None = None,
) -> tuple[Ranking, ...]:
    """Rank the agencies as consumers and as providers in every combination; arguments as in ``compute_cases``."""
    return tuple(
        _ranking(compute_cases(arrays, counted, kind, windows=windows, window=window, volumes=volumes))
        for kind in (IndicatorKind.CONSUMER, IndicatorKind.PROVIDER)
    )


def rank_descending(values: Floats) -> Floats:
    """Rank values (…, m), largest first; equal values share the better rank, and NaN has none.

    Sums of the same terms agree within 10⁻¹² (§5), so values that differ by less are equal.
    """
    ranked = np.where(np.isnan(values), -np.inf, values)
    order = np.argsort(-ranked, axis=-1, kind="stable")
    descending = np.take_along_axis(ranked, order, axis=-1)
    begins = np.ones(values.shape, dtype=np.bool_)
    begins[..., 1:] = descending[..., 1:] < descending[..., :-1] - TOLERANCE
    place = np.maximum.accumulate(np.where(begins, np.arange(1.0, values.shape[-1] + 1), 0.0), axis=-1)
    ranks = np.empty(values.shape)
    np.put_along_axis(ranks, order, place, axis=-1)
    return np.where(np.isnan(values), np.nan, ranks)


def _ranking(cases: SwitchCases) -> Ranking:
    ranked = np.flatnonzero(~np.isnan(cases.values[cases.base]))
    ranks = rank_descending(cases.values[..., ranked])
    base = ranks[cases.base]
    missing = np.isnan(ranks)
    shift = np.where(missing, 0.0, np.abs(ranks - base)).sum(axis=-1) / np.maximum((~missing).sum(axis=-1), 1)
    low, high = (_quantile(ranks.reshape(shift.size, len(ranked)), part) for part in BAND)
    names = [cases.ids[agency] for agency in ranked]
    # A band contains its rank, as an interval contains its point, however unusual the headline's case is.
    bands = [
        RankBand(int(min(low, own)), int(max(high, own)), RankBasis.SENSITIVITY, len(names))
        for low, high, own in zip(low, high, base, strict=True)
    ]
    return Ranking(
        kind=cases.kind,
        ranks=dict(zip(names, base.astype(int).tolist(), strict=True)),
        bands=dict(zip(names, bands, strict=True)),
        moved=RankSensitivity(cases.kind, shift.size, float(shift.mean()), _switches(cases.states, shift)),
    )


def _quantile(ranks: Floats, part: float) -> Floats:
    """Return each column's least rank that this part of its ranks does not exceed; no column may be all NaN."""
    known = (~np.isnan(ranks)).sum(axis=0)
    row = np.maximum(np.ceil(part * known).astype(np.int64), 1) - 1
    return np.asarray(np.take_along_axis(np.sort(ranks, axis=0), row[np.newaxis], axis=0)[0])


def _switches(states: Sequence[tuple[str, ...]], shift: Floats) -> tuple[SwitchIndex, ...]:
    """Compute Sobol' indices of a table of results, in which all states of a switch are equally likely."""
    from scipy.stats import uniform  # noqa: PLC0415  # it takes a second to load, and few ask for sensitivity

    last = np.array(shift.shape)[:, np.newaxis] - 1

    def look_up(points: Floats) -> Floats:
        return np.asarray(shift[tuple(np.minimum(points.astype(np.int64), last))])

    indices = estimate_indices(look_up, [uniform(0, len(names)) for names in states])
    rows = np.array([indices.total, indices.total_error, indices.first, indices.first_error]).T.tolist()
    return tuple(SwitchIndex(switch, names, *row) for switch, names, row in zip(SWITCHES, states, rows, strict=True))
