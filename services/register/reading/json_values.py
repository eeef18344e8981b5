"""What every JSON value of a register must be, so that it can be hashed, published and read again. Pure."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping

_DEEPEST = 60  # JSON is written by recursion, and a schema is checked by it


def parse_json(text: str, pairs: Callable[[list[tuple[str, object]]], object] | None = None) -> object:
    """Return the value of a JSON text, whose objects ``pairs`` makes where given. Raises json.JSONDecodeError, and ValueError for
    a value that cannot be used.
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
