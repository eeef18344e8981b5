"""Find a few faults that still fail, by delta debugging (Zeller and Hildebrandt, 2002)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

T = TypeVar("T")


async def shrink(whole: Sequence[T], fails: Callable[[Sequence[T]], Awaitable[bool]], *, attempts: int) -> list[T]:
    """Return a small part of ``whole`` that still fails. Nothing in it can be left out, unless ``attempts`` ran out."""
    kept, parts = list(whole), 2
    while len(kept) > 1 and attempts > 0:
        size = -(-len(kept) // parts)
        for start in range(0, len(kept), size):
            less = kept[:start] + kept[start + size :]
            if attempts <= 0:
                break
            attempts -= 1
            if less and await fails(less):
                kept, parts = less, max(parts - 1, 2)
                break
        else:
            if size == 1:
                break
            parts = min(parts * 2, len(kept))
    return kept
