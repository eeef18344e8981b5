"""Gives answers that blocks hold as a whole: reconciliations, traffic, structure and the three bars, monitoring."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from peyvand.v1 import block_pb2, indicator_pb2
from peyvand.v1 import indicator_service_pb2 as messages
from services.api.errors import UnavailableError
from services.api.model import ReadModel
from services.core.blocks import BlockReader
from services.core.bus import GOVERNMENT_KEY
from services.core.codec import to_timestamp
from services.core.log import logger
from services.core.model import IndicatorKind, Register
from services.register.rounds import INTEGRATION

T = TypeVar("T")


def decoded(key: str, payload: bytes, decode: Callable[[bytes], T]) -> T | None:
    """Return a block of the bus, None if it cannot be decoded. It is then logged, and to be left out like a missing one."""
    try:
        return decode(payload)
    except ValueError as error:
        logger().warning("block_unreadable", key=key, reason=str(error))
        return None


def find_volume(block: BlockReader | None, provider: str) -> block_pb2.ExchangeVolume | None:
    """Return what the consumer of a block exchanged with a provider, on all their links and without meta services."""
    volumes = () if block is None else block.exchanges
    return next((volume for volume in volumes if volume.provider == provider and not volume.meta), None)


def traffic_answer(model: ReadModel, window_days: int) -> messages.GetTrafficResponse:
    """Answer from the government's block. Raises RequestError."""
    days = model.view.window(window_days)
    block = model.government_block()
    for traffic in () if block is None else block.traffic:
        if traffic.window_days == days:
            return messages.GetTrafficResponse(traffic=traffic)
    raise UnavailableError(
        "TRAFFIC_UNPUBLISHED",
        f"exchanges of the last {days} days were not looked at yet: retry later",
        window_days=str(days),
    )


def monitoring_answer(model: ReadModel) -> messages.GetMonitoringResponse:
    """Answer from the government's block. Raises RequestError."""
    block = model.government_block()
    monitoring = None if block is None else block.monitoring
    if block is None or monitoring is None:
        raise UnavailableError(
            "MONITORING_UNPUBLISHED", "no scorer has reported yet how well it measures and reads: retry later"
        )
    return messages.GetMonitoringResponse(
        as_of=to_timestamp(block.as_of), evidence_sequence=block.evidence_sequence, monitoring=monitoring
    )


def structure_answer(model: ReadModel, window_days: int) -> messages.GetStructureResponse:
    """Answer from the government's block: structure and bars are of one refresh. Raises RequestError."""
    view = model.view
    days = view.window(window_days)
    # Without an indicator of the government there is no structure either, and this raises the reason.
    government = model.get(IndicatorKind.GOVERNMENT, "", days).message
    for structure in model.blocks[GOVERNMENT_KEY].structures:
        if structure.window_days == days:
            bars = three_bars(view.register, structure, government)
            return messages.GetStructureResponse(structure=structure, three_bars=bars)
    raise UnavailableError(
        "STRUCTURE_UNPUBLISHED", f"no structure over {days} days is published yet: retry later", window_days=str(days)
    )


def three_bars(
    register: Register, structure: indicator_pb2.Structure, government: indicator_pb2.Indicator
) -> indicator_pb2.ThreeBars:
    """Return the latest official round, the declared coverage and the measured index side by side (docs/method.md §7.4).

    The latest round counts even if it states no integration score: an older score would be passed off as news.
    """
    rounds = () if register.evaluation is None else register.evaluation.rounds
    official = rounds[-1].dimension_percent.get(INTEGRATION) if rounds else None
    measured = government.point if government.HasField("point") else None
    return indicator_pb2.ThreeBars(
        as_of=structure.as_of,
        register_version=structure.register_version,
        official=None if official is None else official / 100,
        official_round=str(rounds[-1].round) if rounds else "",
        declared=structure.declared,
        measured=measured,
        verification_ratio=measured / structure.declared if measured is not None and structure.declared > 0 else None,
        measured_lower=government.lower,
        measured_upper=government.upper,
        window_days=structure.window_days,
        links_required=government.links_required,
        links_absent=government.links_absent,
    )
