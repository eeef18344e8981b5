"""Explanations of indicators, from the evidence behind them (docs/method.md §7)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from peyvand.v1 import indicator_pb2, indicator_service_pb2
from services.api.answers.evidence import Findings
from services.api.answers.link_shares import Gathering
from services.api.answers.register_messages import link_message
from services.api.errors import RequestError, UnavailableError
from services.api.model.read_model import GOVERNMENT_BLOCK, block_key
from services.api.model.register_view import RegisterView
from services.core.blocks import BlockReader
from services.core.codec import indicator_to_message
from services.core.model import Indicator, IndicatorKind, Losses, Target
from services.indicator.index import Explanation, explain_index

__all__ = ["Explainer"]


class Explainer:
    """Explains from the newest blocks that were published together."""

    def __init__(self, gathering: Gathering, findings: Findings) -> None:
        self._gathering = gathering
        self._findings = findings

    async def answer(
        self, kind: IndicatorKind, entity: str, window_days: int, limit: int
    ) -> indicator_service_pb2.ExplainIndicatorResponse:
        """Explain one indicator that is known to be published. Raises RequestError when its evidence is not there yet."""
        found = await self._gathering.of(kind, entity, window_days)
        view = found.view
        indicator = _indicator(view, found.blocks, kind, entity, window_days)
        if kind is IndicatorKind.ENDPOINT:
            return _alone(indicator, await self._findings.of(found, Target(entity, endpoint=True), window_days))
        explanation = await asyncio.to_thread(
            explain_index, view.arrays, found.shares, found.imputation, kind, entity, limit=limit
        )
        if explanation is None:
            raise _no_evidence(kind, entity, window_days)
        answer = _message(view, indicator, explanation)
        if kind is IndicatorKind.LINK:
            answer.findings.CopyFrom(await self._findings.of(found, Target(entity), window_days))
        return answer


def _indicator(
    view: RegisterView, blocks: Mapping[str, BlockReader], kind: IndicatorKind, entity: str, window_days: int
) -> Indicator:
    """The indicator as published together with the evidence."""
    block = blocks.get(_block_of(view, kind, entity))
    found = None if block is None else block.find((kind, entity, window_days))
    if found is None:
        raise _no_evidence(kind, entity, window_days)
    return found


def _no_evidence(kind: IndicatorKind, entity: str, window_days: int) -> RequestError:
    return UnavailableError(
        "EVIDENCE_UNPUBLISHED",
        f"the evidence behind {kind.label} `{entity}` is not published yet: retry later",
        kind=kind.label,
        id=entity,
        window_days=str(window_days),
    )


def _block_of(view: RegisterView, kind: IndicatorKind, entity: str) -> str:
    register = view.register
    match kind:
        case IndicatorKind.CONSUMER:
            return block_key(entity)
        case IndicatorKind.SERVICE:
            return block_key(register.services[entity].agency)
        case IndicatorKind.LINK:
            return block_key(register.consumer(register.links[entity]))
        case IndicatorKind.ENDPOINT:
            return block_key(register.endpoints[entity].agency)
        case _:
            return GOVERNMENT_BLOCK


def _alone(
    indicator: Indicator, findings: indicator_service_pb2.LinkFindings
) -> indicator_service_pb2.ExplainIndicatorResponse:
    """An endpoint is no set of links: its losses by stage and its evidence are all there is to say."""
    return indicator_service_pb2.ExplainIndicatorResponse(
        indicator=indicator_to_message(indicator),
        estimate=indicator.point or 0.0,
        losses=_losses(indicator.losses),
        findings=findings,
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
                lower_if_fixed=one.lower_if_fixed,
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
