"""The Cross-agency Integration Index with its bounds, for every grouping (INDICATOR.md §3-5)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.core.evidence import Indicator, Kind
from services.indicator.calendar import Calendar
from services.indicator.frame import Frame
from services.indicator.window import Evidence

__all__ = ["METHOD_VERSION", "Calendar", "Frame", "IndicatorColumns", "LinkColumns", "Snapshot", "indicators"]

METHOD_VERSION = "1"
"""Changes whenever a formula of INDICATOR.md does."""


@dataclass(frozen=True, slots=True)
class LinkColumns:
    """The evidence behind one window's links, in frame order (only those in force matter: ``slots`` > 0).

    ``slots`` (n,), ``counts`` (6, n) known slots per stage, ``omega`` the link's share of the government's weight,
    ``share`` q or what was imputed for it (NaN when nothing at all is known).
    """

    window_days: int
    ids: tuple[str, ...]
    slots: NDArray[np.int64]
    counts: NDArray[np.int64]
    omega: NDArray[np.float64]
    share: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class IndicatorColumns:
    """All indicators of one kind and window as columns of m entities, in id order. NaN means unset.

    ``applies`` (m,) is False where an entity is N/A: no link in force that weighs anything (§1); it has no indicator.
    ``losses`` (m, 5) by stage.
    """

    kind: Kind
    window_days: int
    ids: tuple[str, ...]
    applies: NDArray[np.bool_]
    point: NDArray[np.float64]
    lower: NDArray[np.float64]
    upper: NDArray[np.float64]
    known_share: NDArray[np.float64]
    losses: NDArray[np.float64]
    strict_point: NDArray[np.float64]
    strict_lower: NDArray[np.float64]
    strict_upper: NDArray[np.float64]
    links_required: NDArray[np.int64]
    links_known: NDArray[np.int64]
    links_absent: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Every index of one register version at one moment. ``as_of`` in epoch seconds: the end of the last slot counted."""

    end_slot: int
    as_of: int
    register_version: str
    probe_version: str
    method_version: str
    evidence_sequence: int
    windows: tuple[int, ...]
    columns: Mapping[tuple[Kind, int], IndicatorColumns]
    links: Mapping[int, LinkColumns]

    def indicator(self, kind: Kind, entity: str, window: int) -> Indicator | None:
        """One indicator, or None where there is none (N/A, or unknown to the register)."""
        raise NotImplementedError

    def rows(self, kind: Kind, window: int, ids: Sequence[str] | None = None) -> Iterator[Indicator]:
        """The indicators of one kind and window in id order; of ``ids`` only, when given."""
        raise NotImplementedError


def indicators(
    frame: Frame,
    evidence: Evidence,
    *,
    end_slot: int,
    evidence_sequence: int = 0,
    windows: Sequence[int] | None = None,
) -> Snapshot:
    """Every indicator of every kind over windows ending at ``end_slot`` exclusive; ``windows`` defaults to the policy's."""
    raise NotImplementedError
