"""Explanations of indicators, from the evidence behind them (INDICATOR.md §7)."""

from __future__ import annotations

import asyncio

import grpc

from peyvand.v1 import indicator_pb2, indicator_service_pb2
from services.api.messages import link_message
from services.api.read_model import GOVERNMENT_BLOCK, ReadModel, block_key
from services.api.refusal import RefusedError
from services.api.register_view import RegisterView
from services.core.codec import Block, indicator_to_message
from services.core.evidence import Indicator, Kind, Losses
from services.indicator.explain import Explanation, explain, gather
from services.indicator.shares import LinkShares

__all__ = ["Explainer"]


class Explainer:
    """Explains from the newest blocks that were published together, and remembers what it gathered of them."""

    def __init__(self, model: ReadModel) -> None:
        self._model = model
        self._gathering = asyncio.Lock()
        self._view: RegisterView | None = None
        self._blocks: dict[str, Block] | None = None
        self._shares: dict[int, LinkShares] = {}

    async def answer(
        self, kind: Kind, entity: str, window_days: int, limit: int
    ) -> indicator_service_pb2.ExplainIndicatorResponse:
        """Explain one indicator that is known to be published. Raises RefusedError when its evidence is not there yet."""
        view, blocks = self._model.view, self._model.whole
        indicator = _indicator(view, blocks, kind, entity, window_days)
        if kind is Kind.ENDPOINT:
            return _alone(indicator)
        shares = await self._gathered(view, blocks, window_days)
        explanation = await asyncio.to_thread(explain, view.frame, shares, kind, entity, limit=limit)
        if explanation is None:
            raise _no_evidence(kind, entity, window_days)
        return _message(view, indicator, explanation)

    async def _gathered(self, view: RegisterView, blocks: dict[str, Block], window_days: int) -> LinkShares:
        """Every link's share over one window; made once per refresh, away from the loop, as it takes its time."""
        async with self._gathering:
            if self._view is not view or self._blocks is not blocks:
                self._view, self._blocks, self._shares = view, blocks, {}
            if window_days not in self._shares:
                pieces = [
                    (evidence.ids, evidence.slots, evidence.verdicts.T)
                    for block in blocks.values()
                    for evidence in block.links
                    if evidence.window_days == window_days
                ]
                self._shares[window_days] = await asyncio.to_thread(lambda: gather(view.frame, pieces))
            return self._shares[window_days]


def _indicator(view: RegisterView, blocks: dict[str, Block], kind: Kind, entity: str, window_days: int) -> Indicator:
    """The indicator as published together with the evidence."""
    block = blocks.get(_block_of(view, kind, entity))
    for one in () if block is None else block.indicators:
        if one.kind == kind and one.id == entity and one.window_days == window_days:
            return one
    raise _no_evidence(kind, entity, window_days)


def _no_evidence(kind: Kind, entity: str, window_days: int) -> RefusedError:
    return RefusedError(
        grpc.StatusCode.UNAVAILABLE,
        "EVIDENCE_UNPUBLISHED",
        f"the evidence behind {kind.label} `{entity}` is not published yet: retry later",
        kind=kind.label,
        id=entity,
        window_days=str(window_days),
    )


def _block_of(view: RegisterView, kind: Kind, entity: str) -> str:
    register = view.register
    match kind:
        case Kind.CONSUMER:
            return block_key(entity)
        case Kind.SERVICE:
            return block_key(register.services[entity].agency)
        case Kind.LINK:
            return block_key(register.consumer(register.links[entity]))
        case Kind.ENDPOINT:
            return block_key(register.endpoints[entity].agency)
        case _:
            return GOVERNMENT_BLOCK


def _alone(indicator: Indicator) -> indicator_service_pb2.ExplainIndicatorResponse:
    """An endpoint is no set of links: its losses by stage are all there is to say."""
    return indicator_service_pb2.ExplainIndicatorResponse(
        indicator=indicator_to_message(indicator), estimate=indicator.point or 0.0, losses=_losses(indicator.losses)
    )


def _message(
    view: RegisterView, indicator: Indicator, explanation: Explanation
) -> indicator_service_pb2.ExplainIndicatorResponse:
    register = view.register
    return indicator_service_pb2.ExplainIndicatorResponse(
        indicator=indicator_to_message(indicator),
        estimate=explanation.estimate or 0.0,
        losses=_losses(explanation.losses),
        providers=[
            indicator_service_pb2.ProviderLoss(
                provider=one.provider, loss=one.loss, losses=_losses(one.losses), links=one.links
            )
            for one in explanation.providers
        ],
        links=[
            indicator_service_pb2.LinkCost(
                link=link_message(register, register.links[one.link]),
                loss=one.loss,
                losses=_losses(one.losses),
                point=one.point,
                known_share=one.known_share,
                index_if_fixed=one.index_if_fixed,
            )
            for one in explanation.links
        ],
    )


def _losses(losses: Losses) -> indicator_pb2.Losses:
    return indicator_pb2.Losses(
        not_connected=losses.not_connected,
        not_answered=losses.not_answered,
        invalid=losses.invalid,
        late=losses.late,
        stale=losses.stale,
    )
