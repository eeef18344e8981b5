"""Expected values of probe definitions with ``${name}`` filled from the params of a link or endpoint. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from string import Template

from services.core.model import fill

__all__ = ["fill_text", "fill_value"]


def fill_value(value: object, params: Mapping[str, object]) -> object:
    """Fill the texts of an expected JSON value, at any depth. ValueError when a name is not in ``params``.

    A text that is one placeholder and nothing else becomes the parameter itself, so that numbers stay numbers.
    """
    if isinstance(value, str):
        if "$" not in value:
            return value
        match = Template.pattern.fullmatch(value)
        name = match and (match["braced"] or match["named"])
        return params[name] if name and name in params else fill(value, params)
    if isinstance(value, Mapping):
        return {key: fill_value(item, params) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [fill_value(item, params) for item in value]
    return value


def fill_text(value: object, params: Mapping[str, object]) -> str:
    """Fill an expected value where everything is text, as in XML: numbers and flags as JSON writes them.

    ValueError when a name is not in ``params``, or the value is neither text, number nor flag.
    """
    if isinstance(value, str):
        return fill(value, params)
    if isinstance(value, bool | int | float):
        return json.dumps(value)
    raise ValueError("an expected value is neither a text, a number, true nor false")
