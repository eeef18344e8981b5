"""Shares, weights and loss profiles of links, imputed where nothing is known (INDICATOR.md §3-5)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.indicator.frame import Frame

__all__ = ["LinkShares", "link_shares"]


@dataclass(frozen=True, slots=True)
class LinkShares:
    """One window's links in frame order, n of them; those with ``slots`` = 0 are out of every sum.

    ``known`` slots, ``counts`` (6, n); ``lower`` = f·q and ``known_share`` = f; ``share`` = q̂ (NaN when nothing at all
    is known); ``profile`` (5, n) losses that sum to 1 - q̂ (0 where q̂ is NaN); ``within`` = w / Σw of the service;
    ``omega`` = v_s · within.
    """

    slots: NDArray[np.int64]
    known: NDArray[np.int64]
    counts: NDArray[np.int64]
    lower: NDArray[np.float64]
    known_share: NDArray[np.float64]
    share: NDArray[np.float64]
    profile: NDArray[np.float64]
    within: NDArray[np.float64]
    omega: NDArray[np.float64]


def link_shares(frame: Frame, slots: NDArray[np.int64], counts: NDArray[np.int64]) -> LinkShares:
    """q, f, ω and q̂ of every link: q where known, else I_s of its service, else G₀ (§4-5). slots (n,), counts (6, n)."""
    raise NotImplementedError
