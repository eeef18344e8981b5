"""Writes numbers as text: decimals and percentages, in the digits of a language. Pure."""

from __future__ import annotations

import math

from persiantools import digits

MINUS = "\N{MINUS SIGN}"
LEFT_TO_RIGHT = "\N{LEFT-TO-RIGHT MARK}"

_DECIMALS = 2
_NOTHING = 1e-9
"""A difference of two shares that is smaller is one of their last bits."""

_PERSIAN = digits.EN_TO_FA_MAP | str.maketrans(",.", "\u066c\u066b")
"""Digits, and the marks that separate thousands and decimals."""


def write_digits(text: str, language: str) -> str:
    """Return a text with its digits, and the marks of numbers, as a language writes them."""
    return digits.en_to_fa(text) if language == "fa" else text


def telling_decimals(value: float) -> int:
    """Return how many decimals leave two digits of a small number: one link of a large register gains little."""
    if abs(value) < _NOTHING:
        return _DECIMALS
    return max(_DECIMALS, 1 - math.floor(math.log10(abs(value))))


def write_decimal(value: float, decimals: int, language: str) -> str:
    """Return a number with ``decimals`` decimals and grouped thousands; rounded half to even."""
    text = f"{abs(value):,.{decimals}f}"
    sign = MINUS if value < 0 and any(digit in text for digit in "123456789") else ""
    if language == "fa":
        # A minus stands to the left of the number. From right to left it would move to the other side, unless a strong
        # character stands before it.
        return (sign and LEFT_TO_RIGHT + sign) + text.translate(_PERSIAN)
    return sign + text


def write_percent(share: float, decimals: int, language: str) -> str:
    """Return a share of 1 as a percentage."""
    sign = "\u066a" if language == "fa" else "%"
    return write_decimal(100 * share, decimals, language) + sign
