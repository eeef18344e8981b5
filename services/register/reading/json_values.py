"""Checks JSON values of a register, so that they can be hashed, published and read again. Pure."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping

_DEEPEST = 60  # JSON is written, and schemas are checked, by recursion


def parse_json(text: str, pairs: Callable[[list[tuple[str, object]]], object] | None = None) -> object:
    """Return the value of a JSON text; ``pairs`` makes its objects if it is given.

    Raises json.JSONDecodeError, and ValueError for a value that cannot be used.
    """
    try:
        value = json.loads(text, object_pairs_hook=pairs, parse_constant=_refuse)
    except RecursionError:
        raise ValueError("is nested too deeply") from None
    check_json_value(value)
    return value


def _refuse(constant: str) -> object:
    raise ValueError(f"{constant} is not a JSON number")


def check_json_value(value: object) -> None:
    """Raise ValueError for a lone surrogate, a number that is not finite, or nesting that is too deep."""
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
