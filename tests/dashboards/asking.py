"""What Prometheus answers to a dashboard: series over time, and the values that a variable offers."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tests.support.monitoring.prometheus import ask

__all__ = ["Series", "now", "offered", "over"]


@dataclass(frozen=True)
class Series:
    """One series of an answer: its values by time in epoch seconds, those that are no number left out."""

    labels: Mapping[str, str]
    values: Mapping[float, float]


def now(where: str, expression: str, at: float) -> list[Series] | None:
    """The answer at one moment, in its order; None while Prometheus does not answer."""
    answer = ask(where, "query", query=expression, time=at)
    return None if answer is None else _series((one["metric"], [one["value"]]) for one in answer["result"])


def over(where: str, expression: str, start: float, end: float, step: float) -> list[Series] | None:
    """The answer at every step from start to end; None while Prometheus does not answer."""
    answer = ask(where, "query_range", query=expression, start=start, end=end, step=step)
    return None if answer is None else _series((one["metric"], one["values"]) for one in answer["result"])


def _series(found: Iterable[tuple[dict[str, str], list[tuple[float, str]]]]) -> list[Series]:
    every = (Series(labels, {float(at): float(value) for at, value in values}) for labels, values in found)
    finite = (
        Series(one.labels, {at: value for at, value in one.values.items() if math.isfinite(value)}) for one in every
    )
    return [one for one in finite if one.values]


def offered(where: str, query: str, start: float, end: float) -> list[str] | None:
    """The values of ``label_values(SELECTOR, LABEL)`` as Grafana offers them, sorted."""
    found = re.fullmatch(r"label_values\((?P<selector>.+), (?P<label>\w+)\)", query)
    assert found, query
    answer = ask(where, f"label/{found['label']}/values", **{"match[]": found["selector"], "start": start, "end": end})
    return None if answer is None else sorted(answer)
