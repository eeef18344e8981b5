"""What the panels of a dashboard show: their queries asked of Prometheus, and joined as Grafana joins them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.dashboards.asking import Series, now, over
from tests.dashboards.grafana import View, interpolated

__all__ = ["Named", "answered", "joined"]


@dataclass(frozen=True)
class Named:
    """A series with the name it has in the legend, and the query it comes from."""

    name: str
    ref: str
    series: Series

    @property
    def newest(self) -> float:
        """Its last value."""
        return self.series.values[max(self.series.values)]


def answered(where: str, panel: Mapping[str, Any], view: View) -> list[Named]:
    """Everything that the queries of a panel answer, in their order."""
    found = []
    for target in panel["targets"]:
        expression = interpolated(target["expr"], view.values)
        if target.get("instant"):
            series = now(where, expression, view.end)
        else:
            series = over(where, expression, view.start, view.end, view.interval)
        assert series is not None, f"Prometheus at {where} does not answer"
        legend = target.get("legendFormat", "")
        found += [Named(_name(legend, one.labels), target["refId"], one) for one in series]
    return found


def _name(legend: str, labels: Mapping[str, str]) -> str:
    if legend in ("", "__auto"):
        return ", ".join(f"{name}={value}" for name, value in labels.items())
    return re.sub(r"\{\{(\w+)\}\}", lambda found: labels.get(found[1], ""), legend)


def joined(panel: Mapping[str, Any], answers: list[Named]) -> list[dict[str, Any]]:
    """The rows of a table: answers joined by the label that the panel's transformation names, and sorted if it says so.

    A row has the labels of its answers, and `Value` or, of several queries, `Value #A` and so on.
    """
    options = {one["id"]: one["options"] for one in panel["transformations"]}
    by = options["joinByField"]["byField"]
    many = len(panel["targets"]) > 1
    rows: dict[str, dict[str, Any]] = {}
    for one in answers:
        row = rows.setdefault(one.series.labels.get(by, ""), {})
        row.update(one.series.labels)
        row[f"Value #{one.ref}" if many else "Value"] = one.newest
    found = list(rows.values())
    if "sortBy" in options:
        found.sort(key=lambda row: str(row[options["sortBy"]["sort"][0]["field"]]))
    return found
