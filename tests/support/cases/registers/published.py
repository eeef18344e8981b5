"""A register that is published, changed and followed. Not a test."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, cast

from services.core.model.register import Register
from services.register.bus.read import follow_register

__all__ = ["CHANGES", "followed", "register_in_force"]

CHANGES = (",0.99,2", ",0.99,4")


def followed(reader: Any, *more: Any) -> AsyncGenerator[Register, None]:
    """Return the generator of versions, which a test can close."""
    return cast(AsyncGenerator[Register, None], follow_register(reader, *more))


async def register_in_force(bus: Any) -> Register:
    """Return the register that a new follower gets."""
    async with aclosing(followed(bus)) as versions:
        return await anext(versions)
