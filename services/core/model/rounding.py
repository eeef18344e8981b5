"""Rounds known shares down and keeps the decimals of limits, so that no share looks like a limit that it misses. Pure."""

from __future__ import annotations

import math
from decimal import Decimal

_NOTHING = 1e-9
"""A difference of two shares that is smaller is one of their last bits."""


def round_down(share: float, decimals: int) -> float:
    """Return a known share of 1, rounded down to ``decimals`` decimals of a percentage: only 1 is rounded to 1."""
    scale = 10.0 ** (decimals + 2)
    return math.floor(share * scale + _NOTHING) / scale


def stated_decimals(share: float) -> int:
    """Return how many decimals a share has as a percentage, if it was written as a decimal number."""
    exponent = Decimal(repr(share)).normalize().as_tuple().exponent
    return max(0, -2 - int(exponent))
