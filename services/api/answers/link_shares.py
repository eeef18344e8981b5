"""Gathers the share of every link from blocks that were published together, for explanations and tables to sum."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

from services.api.errors import UnavailableError
from services.api.model import ReadModel, RegisterView, agency_block_key
from services.core.blocks import BlockReader
from services.core.bus import GOVERNMENT_KEY
from services.core.model import LOSS_STAGES, IndicatorKind
from services.core.tasks import SharedResult
from services.indicator.array_types import Ints
from services.indicator.index import Imputation, gather_shares
from services.indicator.shares import LinkShares

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class WindowEvidence:
    """One window of one refresh: the register, the blocks, the links' shares, and what unknown shares are imputed from."""

    view: RegisterView
    blocks: Mapping[str, BlockReader]
    shares: LinkShares
    imputation: Imputation


class WindowEvidenceCache:
    """Gathers a window once per refresh, in a thread, as it takes long; likewise what is computed from a window."""

    def __init__(self, model: ReadModel) -> None:
        self._model = model
        self._view: RegisterView | None = None
        self._blocks: Mapping[str, BlockReader] | None = None
        self._windows: dict[int, SharedResult[WindowEvidence]] = {}
        self._results: dict[Hashable, SharedResult[Any]] = {}

    async def of_entity(self, kind: IndicatorKind, entity: str, window_days: int) -> WindowEvidence:
        """Return the evidence of an entity: the whole window, or the consumer's part for a link. Raises RequestError."""
        if kind is IndicatorKind.LINK:
            evidence = gather_consumer(self._model.view, self._model.whole, entity, window_days)
            if evidence is not None:
                return evidence
        return await self.of_window(window_days)

    async def of_window(self, window_days: int) -> WindowEvidence:
        """Return the newest complete refresh over one window. Raises RequestError while no register is in force."""
        view, blocks = self._model.view, self._model.whole
        if self._view is not view or self._blocks is not blocks:
            self._view, self._blocks, self._windows, self._results = view, blocks, {}, {}
        window = self._windows.setdefault(window_days, SharedResult())
        return await window.get(blocks, partial(gather_window, view, blocks, window_days))

    async def result(self, key: Hashable, window: WindowEvidence, call: Callable[[], T]) -> T:
        """Return the result of ``call``, which computes it from a window; ``key`` names it and the window."""
        result: SharedResult[T] = self._results.setdefault(key, SharedResult())
        return await result.get(window, call)

    def government(self, window: WindowEvidence, window_days: int) -> BlockReader:
        """Return the government's block of a refresh. Raises RequestError when there is none yet, or never will be."""
        block = window.blocks.get(GOVERNMENT_KEY)
        if block is None:
            self._model.get(IndicatorKind.GOVERNMENT, "", window_days)  # raises the reason
            raise UnavailableError("INDICATOR_UNPUBLISHED", "the index is being published: retry later")
        return block


def gather_consumer(
    view: RegisterView, blocks: Mapping[str, BlockReader], link: str, window_days: int
) -> WindowEvidence | None:
    """Gather the links of one link's consumer, which takes a few milliseconds.

    Return None when the blocks do not have it. The register of the result is reduced to these links. A link that was not
    measured may be imputed from links of others, so its share and losses are taken as they were published.
    """
    register = view.register
    block = blocks.get(agency_block_key(register.consumer(register.links[link])))
    if block is None or (evidence := block.evidence(window_days)) is None:
        return None
    links = {name: register.links[name] for name in evidence.ids if name in register.links}
    if link not in links:
        return None
    services = {member.service: register.services[member.service] for member in links.values()}
    agencies = {member.provider for member in links.values()} | {service.agency for service in services.values()}
    part = RegisterView(
        replace(
            register,
            agencies={agency: register.agencies[agency] for agency in sorted(agencies)},
            services=services,
            links=links,
            endpoints={},
            policy=replace(register.policy, bus=None),
        ),
        view.published,
    )
    paper = _paper(part, block.as_of, window_days)
    shares = gather_shares(part.arrays, [(evidence.ids, evidence.slots, evidence.verdicts.T)], paper)
    position = part.position(link)
    if shares.imputed[position]:
        indicator = block.find((IndicatorKind.LINK, link, window_days))
        if indicator is None:
            return None
        losses = [getattr(indicator.losses, stage) for stage in LOSS_STAGES]
        shares = shares.with_imputed(position, evidence.share[evidence.ids.index(link)], losses)
    return WindowEvidence(part, blocks, shares, Imputation.of(shares))


def gather_window(view: RegisterView, blocks: Mapping[str, BlockReader], window_days: int) -> WindowEvidence:
    """Gather one window from blocks that were published together."""
    pieces = (
        (evidence.ids, evidence.slots, evidence.verdicts.T)
        for evidence in (block.evidence(window_days) for block in blocks.values())
        if evidence is not None
    )
    paper = _paper(view, max((block.as_of for block in blocks.values()), default=0), window_days)
    shares = gather_shares(view.arrays, pieces, paper)
    return WindowEvidence(view, blocks, shares, Imputation.of(shares))


def _paper(view: RegisterView, as_of: int, window_days: int) -> Ints:
    """Return how many slots each link was in force and not live (n,), in the window that ends at ``as_of``."""
    calendar = view.calendar
    return view.arrays.required.paper_in(calendar, calendar.window(window_days, calendar.slot_of(as_of)))
