"""Why an index is what it is: losses by stage, by provider and by link (INDICATOR.md §7, loss waterfall)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.core.evidence import Kind, Losses
from services.indicator.frame import Frame
from services.indicator.shares import LinkShares

__all__ = ["Explanation", "LinkCost", "ProviderLoss", "explain", "gather"]


@dataclass(frozen=True, slots=True)
class ProviderLoss:
    """The part of 1 - estimate lost at one provider, over its ``links`` in force within the set explained."""

    provider: str
    loss: float
    losses: Losses
    links: int


@dataclass(frozen=True, slots=True)
class LinkCost:
    """The part of 1 - estimate lost on one link. ``point`` is q, None when nothing of the link is known (then imputed);
    ``index_if_fixed`` is the estimate with this link always OK and every other share, imputed ones too, as it is."""

    link: str
    loss: float
    losses: Losses
    point: float | None
    known_share: float
    index_if_fixed: float


@dataclass(frozen=True, slots=True)
class Explanation:
    """An ``estimate`` (the point, whether publishable or not; None when nothing at all is known) and where the rest of it
    went. ``losses`` sum to 1 - estimate; all are zero without an estimate. Costliest first, ties in id order."""

    estimate: float | None
    losses: Losses
    providers: tuple[ProviderLoss, ...]
    links: tuple[LinkCost, ...]


def gather(frame: Frame, blocks: Iterable[tuple[Sequence[str], NDArray[np.int64], NDArray[np.int64]]]) -> LinkShares:
    """All links' shares from pieces of one window's evidence: each (link ids, slots (k,), counts (6, k)).

    Links unknown to the frame are left out; links without a piece are not in force. Keep the result while the
    evidence stays the same: every explanation of the window is read from it.
    """
    raise NotImplementedError


def explain(frame: Frame, shares: LinkShares, kind: Kind, entity: str, *, limit: int = 10) -> Explanation | None:
    """Explains one indicator of any kind but ENDPOINT; None where there is none (N/A, unknown, or an endpoint).

    At most ``limit`` providers and links are named, those that lost nothing never are.
    """
    raise NotImplementedError
