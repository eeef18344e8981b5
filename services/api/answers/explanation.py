"""Explains indicators from the evidence behind them (docs/method.md §7.1)."""

from __future__ import annotations

import asyncio

from peyvand.v1 import indicator_pb2
from peyvand.v1 import indicator_service_pb2 as messages
from services.api.answers.evidence import EvidenceReader
from services.api.answers.link_shares import WindowEvidence, WindowEvidenceCache
from services.api.answers.register_messages import link_message
from services.api.errors import UnavailableError
from services.core.codec import losses_to_message
from services.core.model import LOSS_STAGES, IndicatorKind, Register, Target
from services.indicator.index import Explanation, explain_index


class Explainer:
    """Explains from the newest blocks that were published together."""

    def __init__(self, windows: WindowEvidenceCache, evidence: EvidenceReader) -> None:
        self._windows = windows
        self._evidence = evidence

    async def answer(
        self, kind: IndicatorKind, entity: str, window_days: int, limit: int
    ) -> messages.ExplainIndicatorResponse:
        """Explain a published indicator. Raises RequestError when its evidence is not published yet."""
        window = await self._windows.of_entity(kind, entity, window_days)
        view = window.view
        indicator = _find(window, kind, entity, window_days)
        if indicator is None:
            raise _unpublished(kind, entity, window_days)
        if kind is IndicatorKind.ENDPOINT:
            # An endpoint is no set of links: its losses by stage and its evidence are the explanation.
            return messages.ExplainIndicatorResponse(
                indicator=indicator,
                estimate=_endpoint_estimate(indicator),
                losses=indicator.losses,
                findings=await self._evidence.of_target(window, Target(entity, endpoint=True), window_days),
            )
        explanation = await asyncio.to_thread(
            explain_index, window.shares, window.imputation, kind, entity, limit=limit
        )
        if explanation is None:
            raise _unpublished(kind, entity, window_days)
        answer = _message(view.register, indicator, explanation)
        if kind is IndicatorKind.LINK:
            answer.findings.CopyFrom(await self._evidence.of_target(window, Target(entity), window_days))
        return answer


def _find(window: WindowEvidence, kind: IndicatorKind, entity: str, window_days: int) -> indicator_pb2.Indicator | None:
    """Return the indicator as published together with the evidence."""
    key = window.view.block_key(kind, entity)
    block = None if key is None else window.blocks.get(key)
    return None if block is None else block.find((kind, entity, window_days))


def _endpoint_estimate(indicator: indicator_pb2.Indicator) -> float:
    """Return the share of an endpoint's known slots that were OK, published or not; 0 if no slot is known."""
    if indicator.HasField("point"):
        return indicator.point
    losses = sum(getattr(indicator.losses, stage) for stage in LOSS_STAGES)
    return max(0.0, 1.0 - losses) if indicator.known_share > 0 else 0.0


def _unpublished(kind: IndicatorKind, entity: str, window_days: int) -> UnavailableError:
    return UnavailableError(
        "EVIDENCE_UNPUBLISHED",
        f"the evidence behind {kind.label} `{entity}` is not published yet: retry later",
        kind=kind.label,
        id=entity,
        window_days=str(window_days),
    )


def _message(
    register: Register, indicator: indicator_pb2.Indicator, explanation: Explanation
) -> messages.ExplainIndicatorResponse:
    return messages.ExplainIndicatorResponse(
        indicator=indicator,
        estimate=explanation.estimate or 0.0,
        losses=losses_to_message(explanation.losses),
        providers=[
            messages.ProviderLoss(
                provider=cost.provider, loss=cost.loss, losses=losses_to_message(cost.losses), links=cost.links
            )
            for cost in explanation.providers
        ],
        links=[
            messages.LinkCost(
                link=link_message(register, register.links[cost.link]),
                loss=cost.loss,
                losses=losses_to_message(cost.losses),
                point=cost.point,
                known_share=cost.known_share,
                index_if_fixed=cost.index_if_fixed,
                lower_if_fixed=cost.lower_if_fixed,
            )
            for cost in explanation.links
        ],
    )
