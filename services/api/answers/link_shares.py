"""Every link's share, gathered from the blocks that were published together: what explanations and tables sum over."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import astuple, dataclass, replace

import numpy as np

from services.api.model.read_model import ReadModel, block_key
from services.api.model.register_view import RegisterView
from services.core.blocks import BlockReader
from services.core.model import IndicatorKind
from services.indicator.index import Imputation, gather_shares
from services.indicator.shares import LinkShares

__all__ = ["Gathered", "Gathering", "around", "gathered"]


@dataclass(frozen=True, slots=True)
class Gathered:
    """One window of one refresh: the register it is judged by, the blocks it came in, the links' shares, and what those
    of unknown links were imputed from.
    """

    view: RegisterView
    blocks: Mapping[str, BlockReader]
    shares: LinkShares
    imputation: Imputation


class Gathering:
    """Gathers a window once per refresh, away from the loop, as it takes its time; whoever asks meanwhile waits for it."""

    def __init__(self, model: ReadModel) -> None:
        self._model = model
        self._lock = asyncio.Lock()
        self._view: RegisterView | None = None
        self._blocks: Mapping[str, BlockReader] | None = None
        self._windows: dict[int, Gathered] = {}

    async def of(self, kind: IndicatorKind, entity: str, window_days: int) -> Gathered:
        """Return what explains one entity: the whole window, or as much of it as a link needs. Raises RequestError."""
        if kind is IndicatorKind.LINK:
            found = around(self._model.view, self._model.whole, entity, window_days)
            if found is not None:
                return found
        return await self.window(window_days)

    async def window(self, window_days: int) -> Gathered:
        """Return the newest whole refresh over one window. Raises RequestError while no register is in force."""
        async with self._lock:
            view, blocks = self._model.view, self._model.whole
            if self._view is not view or self._blocks is not blocks:
                self._view, self._blocks, self._windows = view, blocks, {}
            found = self._windows.get(window_days)
            if found is None:
                found = await asyncio.to_thread(gathered, view, blocks, window_days)
                self._windows[window_days] = found
            return found


def around(view: RegisterView, blocks: Mapping[str, BlockReader], link: str, window_days: int) -> Gathered | None:
    """Return one window as far as an explanation of one link needs it: its consumer's links, in a few milliseconds.

    None where the blocks do not have it.
    """
    register = view.register
    block = blocks.get(block_key(register.consumer(register.links[link])))
    if block is None or (evidence := block.evidence(window_days)) is None:
        return None
    links = {one: register.links[one] for one in evidence.ids if one in register.links}
    services = {one.service: register.services[one.service] for one in links.values()}
    indicator = block.find((IndicatorKind.LINK, link, window_days))
    if link not in links or indicator is None:
        return None
    # Where nothing is known of its service a link was published with the shares of the government; else they play no part.
    government = np.array([*astuple(indicator.losses), evidence.share[evidence.ids.index(link)]])
    agencies = {one.provider for one in links.values()} | {one.agency for one in services.values()}
    part = RegisterView(
        replace(
            register,
            agencies={one: register.agencies[one] for one in sorted(agencies)},
            services=services,
            links=links,
            endpoints={},
            policy=replace(register.policy, bus=None),
        ),
        view.published,
    )
    shares = gather_shares(part.arrays, [(evidence.ids, evidence.slots, evidence.verdicts.T)], government)
    return Gathered(part, blocks, shares, Imputation.of(part.arrays, shares))


def gathered(view: RegisterView, blocks: Mapping[str, BlockReader], window_days: int) -> Gathered:
    """Gather one window from blocks that were published together."""
    pieces = (
        (evidence.ids, evidence.slots, evidence.verdicts.T)
        for evidence in (block.evidence(window_days) for block in blocks.values())
        if evidence is not None
    )
    shares = gather_shares(view.arrays, pieces)
    return Gathered(view, blocks, shares, Imputation.of(view.arrays, shares))
