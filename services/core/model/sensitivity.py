"""Sensitivity analyses as values: how much the ranks depend on choices of method (docs/method.md §7.6)."""

from __future__ import annotations

from dataclasses import dataclass

from services.core.model.indicator import IndicatorKind


@dataclass(frozen=True, slots=True)
class SwitchIndex:
    """How much one choice of method changes the ranks, alone and together with the others.

    ``states`` are the alternatives; with a single one the choice does not apply, and both indices are 0.
    ``total_order`` and ``first_order`` are Sobol' indices of the mean absolute rank shift; ``…_error`` their standard
    errors over independent samples.
    """

    switch: str
    states: tuple[str, ...]
    total_order: float
    total_order_error: float
    first_order: float
    first_order_error: float


@dataclass(frozen=True, slots=True)
class RankSensitivity:
    """How the ranks of all agencies, as consumers or as providers, depend on the choices.

    ``cases`` combinations were computed; ``mean_rank_shift`` is the mean over them of the mean absolute rank shift.
    """

    kind: IndicatorKind
    cases: int
    mean_rank_shift: float
    switches: tuple[SwitchIndex, ...]


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """Both rankings of one window; ``as_of`` in epoch seconds, as in the indicators."""

    window_days: int
    as_of: int
    ranks: tuple[RankSensitivity, ...]
    register_version: str = ""
    probe_version: str = ""
    method_version: str = ""
