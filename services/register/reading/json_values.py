"""What every JSON value of a register must be, so that it can be hashed, published and read again. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping

_DEEPEST = 60  # JSON is written by recursion, and a schema is checked by it


def check_json_value(value: object) -> None:
    """Raise ValueError for half a character, a number without end, and what is nested too deeply."""
    rest = [(value, 1)]
    while rest:
        one, depth = rest.pop()
        if isinstance(one, str) and any("\ud800" <= character <= "\udfff" for character in one):
            raise ValueError("holds half a character (a lone surrogate)")
        if isinstance(one, float) and not math.isfinite(one):
            raise ValueError("holds a number that is too large")
        if isinstance(one, Mapping):
            rest += [(key, depth) for key in one]
        if isinstance(one, Mapping | list):
            if depth > _DEEPEST:
                raise ValueError("is nested too deeply")
            rest += [(item, depth + 1) for item in (one.values() if isinstance(one, Mapping) else one)]
