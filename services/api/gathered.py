"""Every link's share, gathered from the blocks that were published together: what explanations and tables sum over."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from services.api.read_model import ReadModel
from services.api.register_view import RegisterView
from services.core.codec import KeptBlock
from services.indicator.explain import gather
from services.indicator.fixed import Imputation
from services.indicator.shares import LinkShares

__all__ = ["Gathered", "Gathering"]


@dataclass(frozen=True, slots=True)
class Gathered:
    """One window of one refresh: the register it is judged by, the blocks it came in, the links' shares, and what those
    of unknown links were imputed from.
    """

    view: RegisterView
    blocks: Mapping[str, KeptBlock]
    shares: LinkShares
    imputation: Imputation


class Gathering:
    """Gathers a window once per refresh, away from the loop, as it takes its time; whoever asks meanwhile waits for it."""

    def __init__(self, model: ReadModel) -> None:
        self._model = model
        self._lock = asyncio.Lock()
        self._view: RegisterView | None = None
        self._blocks: Mapping[str, KeptBlock] | None = None
        self._windows: dict[int, Gathered] = {}

    async def window(self, window_days: int) -> Gathered:
        """Return the newest whole refresh over one window. Raises RefusedError while no register is in force."""
        async with self._lock:
            view, blocks = self._model.view, self._model.whole
            if self._view is not view or self._blocks is not blocks:
                self._view, self._blocks, self._windows = view, blocks, {}
            found = self._windows.get(window_days)
            if found is None:
                found = await asyncio.to_thread(_gather, view, blocks, window_days)
                self._windows[window_days] = found
            return found


def _gather(view: RegisterView, blocks: Mapping[str, KeptBlock], window_days: int) -> Gathered:
    pieces = (
        (evidence.ids, evidence.slots, evidence.verdicts.T)
        for evidence in (block.evidence(window_days) for block in blocks.values())
        if evidence is not None
    )
    shares = gather(view.frame, pieces)
    return Gathered(view, blocks, shares, Imputation.of(view.frame, shares))
