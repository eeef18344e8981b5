"""Fetches lists and indicators from the api."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, TypeVar

from services.client import Client
from services.core.codec import indicator_from_message
from services.core.errors import ApiNotApplicableError
from services.core.model import Indicator, IndicatorKind

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
    return tuple([indicator_from_message(message) async for message in messages])
