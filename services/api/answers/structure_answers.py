"""The structure of the agencies' links, and the three bars beside it (docs/method.md §7)."""

from __future__ import annotations

import grpc

from peyvand.v1 import indicator_pb2, indicator_service_pb2
from services.api.errors import RefusedError
from services.api.model.read_model import GOVERNMENT_BLOCK, ReadModel
from services.core.codec import structure_to_message, to_timestamp
from services.core.model import Indicator, IndicatorKind, Register, Structure
from services.register.rounds import INTEGRATION

__all__ = ["structure_answer", "three_bars"]


def structure_answer(model: ReadModel, asked_days: int) -> indicator_service_pb2.GetStructureResponse:
    """Answer from the government's block: structure and bars are of one refresh. Raises RefusedError."""
    view = model.view
    days = view.window(asked_days)
    block = model.blocks.get(GOVERNMENT_BLOCK)
    found = next((one for one in block.structures if one.window_days == days), None) if block else None
    if block is None or found is None:
        # What the government has no indicator of has no structure either, and this says why.
        model.get(IndicatorKind.GOVERNMENT, "", days)
        raise RefusedError(
            grpc.StatusCode.UNAVAILABLE,
            "STRUCTURE_UNPUBLISHED",
            f"no structure over {days} days is published yet: retry later",
            window_days=str(days),
        )
    government = model.get(IndicatorKind.GOVERNMENT, "", days).indicator
    return indicator_service_pb2.GetStructureResponse(
        structure=structure_to_message(found), three_bars=three_bars(view.register, found, government)
    )


def three_bars(register: Register, found: Structure, government: Indicator) -> indicator_pb2.ThreeBars:
    """Put the latest official round, the declared coverage and the measured index side by side.

    The latest round counts even if it states no integration score: an older one would be passed off as news.
    """
    rounds = () if register.evaluation is None else register.evaluation.rounds
    official = rounds[-1].dimension_percent.get(INTEGRATION) if rounds else None
    measured = government.point
    return indicator_pb2.ThreeBars(
        as_of=to_timestamp(found.as_of),
        register_version=found.register_version,
        official=None if official is None else official / 100,
        official_round=str(rounds[-1].round) if rounds else "",
        declared=found.declared,
        measured=measured,
        verification_ratio=measured / found.declared if measured is not None and found.declared > 0 else None,
        measured_lower=government.lower,
        measured_upper=government.upper,
        window_days=found.window_days,
        links_required=government.links_required,
        links_absent=government.links_absent,
    )
