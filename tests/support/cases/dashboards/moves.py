"""How the result of a query changes under a fault, compared with everything before it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Literal

from tests.dashboards.asking import Series

__all__ = ["Move", "moved"]

How = Literal["rises", "falls", "leaves", "appears", "vanishes", "stands"]


@dataclass(frozen=True)
class Move:
    """How a series must move.

    ``rises``: above every value seen before. ``falls``: below every value seen before. ``leaves``: either way.
    ``appears``: a series that did not exist before. ``vanishes``: missing for longer than ever before.
    ``stands``: keeps one value for longer than ever before.

    Only series with the labels ``of`` count. Where time alone moves a value, it must pass ``past`` as well.
    """

    how: How
    of: Mapping[str, str] = field(default_factory=dict)
    past: float | None = None


def moved(answer: Iterable[Series], move: Move, before: Sequence[float], during: Sequence[float]) -> bool:
    """Whether any series of a result moved between the times ``before`` and ``during``."""
    series = [one.values for one in answer if move.of.items() <= one.labels.items()]
    return any(_moved(values, move, before, during) for values in series)


def _moved(values: Mapping[float, float], move: Move, before: Sequence[float], during: Sequence[float]) -> bool:
    seen = [values[at] for at in before if at in values]
    now = [values[at] for at in during if at in values]
    match move.how:
        case "appears":
            return not seen and bool(now)
        case "vanishes":
            return bool(seen) and _missing(values, before) < _missing(values, during)
        case "stands":
            return _still(seen) < _still(now)
    if not seen or not now:
        return False
    up = max(now) > max(seen) and (move.past is None or max(now) > move.past >= max(seen))
    down = min(now) < min(seen) and (move.past is None or min(now) < move.past <= min(seen))
    return {"rises": up, "falls": down, "leaves": up or down}[move.how]


def _still(values: Sequence[float]) -> int:
    """Return the length of the longest run of one value other than zero."""
    return max((len(list(run)) for value, run in groupby(values) if value), default=0)


def _missing(values: Mapping[float, float], times: Sequence[float]) -> int:
    """Return the length of the longest run of times without a value."""
    return max((len(list(run)) for missing, run in groupby(at not in values for at in times) if missing), default=0)
