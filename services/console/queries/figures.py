"""Turns the api's messages into indicators as values."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, TypeVar

from services.client import Client
from services.core.errors import ApiNotApplicableError
from services.core.model import (
    LOSS_STAGES,
    Indicator,
    IndicatorKind,
    Interval,
    Losses,
    RankBand,
    RankBasis,
    StrictShare,
)

T = TypeVar("T")


async def collected(answers: AsyncIterator[T]) -> tuple[T, ...]:
    """Return every answer of a list."""
    return tuple([answer async for answer in answers])


async def government_figure(api: Client, window_days: int) -> Any:
    """Return the message Indicator of the government over a window, None if no inquiry is in force in it."""
    try:
        return await api.indicator(IndicatorKind.GOVERNMENT, window_days=window_days)
    except ApiNotApplicableError:
        return None


async def figures_of(messages: AsyncIterator[Any]) -> tuple[Indicator, ...]:
    """Return the values of a list of messages Indicator."""
    return tuple([figure_of(message) async for message in messages])


def figure_of(message: Any) -> Indicator:
    """Return the value of a message Indicator."""
    strict = message.strict
    return Indicator(
        kind=IndicatorKind(message.kind),
        id=message.id,
        window_days=message.window_days,
        as_of=message.as_of.seconds,
        point=message.point if message.HasField("point") else None,
        lower=message.lower,
        upper=message.upper,
        known_share=message.known_share,
        losses=losses_of(message.losses),
        strict=StrictShare(strict.point if strict.HasField("point") else None, strict.lower, strict.upper)
        if message.HasField("strict")
        else None,
        links_required=message.links_required,
        links_known=message.links_known,
        links_absent=message.links_absent,
        register_version=message.register_version,
        probe_version=message.probe_version,
        method_version=message.method_version,
        evidence_sequence=message.evidence_sequence,
        interval=_interval(message.interval) if message.HasField("interval") else None,
        level=message.level if message.HasField("level") else None,
        rank_band=_rank_band(message.rank_band) if message.HasField("rank_band") else None,
    )


def _interval(message: Any) -> Interval:
    outages = message.outages if message.HasField("outages") else None
    return Interval(message.low, message.high, message.level, outages)


def _rank_band(message: Any) -> RankBand:
    # Older messages do not state the basis.
    basis = RankBasis(message.basis) if message.basis else RankBasis.SENSITIVITY
    return RankBand(message.low, message.high, basis, message.agencies)


def losses_of(message: Any) -> Losses:
    """Return the value of a message Losses."""
    return Losses(**{stage: getattr(message, stage) for stage in LOSS_STAGES})
