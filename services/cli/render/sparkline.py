"""A row of numbers as a row of small bars. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

__all__ = ["cells", "sparkline"]

_BARS = "▁▂▃▄▅▆▇█"


def cells(values: Sequence[float | None], width: int) -> list[float | None]:
    """Return at most ``width`` values, each the mean of as many consecutive ones; None where none of them is there."""
    if len(values) <= width:
        return list(values)
    bounds = [round(at * len(values) / width) for at in range(width + 1)]
    parts = [[one for one in values[start:end] if one is not None] for start, end in pairwise(bounds)]
    return [sum(part) / len(part) if part else None for part in parts]


def sparkline(values: Sequence[float | None]) -> str:
    """Return a bar per value between their own extremes, a blank where there is none."""
    there = [one for one in values if one is not None]
    low, high = min(there, default=0.0), max(there, default=0.0)
    if high == low:
        return "".join(" " if one is None else _BARS[3] for one in values)
    top = len(_BARS) - 1
    return "".join(" " if one is None else _BARS[round((one - low) / (high - low) * top)] for one in values)
