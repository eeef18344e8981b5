"""A dashboard as Grafana reads it: its panels, and what it asks of Prometheus once variables are put in."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.paths import ROOT

__all__ = ["FOLDER", "Asked", "View", "dashboard", "interpolated", "names", "panels", "queries", "variables"]

FOLDER = ROOT / "deploy" / "grafana" / "dashboards"
_VARIABLE = re.compile(r"\$(?:\{(?P<braced>[a-zA-Z_]\w*)(?::\w+)?\}|(?P<plain>[a-zA-Z_]\w*))")


def names() -> list[str]:
    """Every dashboard that is committed."""
    return sorted(file.stem for file in FOLDER.glob("*.json"))


def dashboard(name: str, folder: Path = FOLDER) -> dict[str, Any]:
    """A dashboard as it is provisioned."""
    return json.loads((folder / f"{name}.json").read_text("utf-8"))


def panels(of: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Its panels in order, rows left out, those within rows taken in."""
    found: list[dict[str, Any]] = []
    for panel in of["panels"]:
        found += panels(panel) if panel.get("panels") else [] if panel["type"] == "row" else [panel]
    return found


@dataclass(frozen=True)
class View:
    """What is looked at: seconds from ``start`` to ``end``, values of variables, points across, seconds between scrapes."""

    start: float
    end: float
    variables: Mapping[str, str]
    points: int = 120
    scrape: float = 15.0

    @property
    def interval(self) -> float:
        """Seconds between two points: Grafana never asks for more than there are scrapes."""
        return max((self.end - self.start) / self.points, self.scrape)

    @property
    def values(self) -> dict[str, str]:
        """Every variable, those of Grafana's own among them; the rate's interval holds four scrapes at the least."""
        rate = max(self.interval + self.scrape, 4 * self.scrape)
        own = {
            "__interval": _duration(self.interval),
            "__rate_interval": _duration(rate),
            "__range": _duration(self.end - self.start),
        }
        return {**self.variables, **own}


def _duration(seconds: float) -> str:
    return f"{max(1, round(seconds * 1000))}ms"


def interpolated(text: str, values: Mapping[str, str]) -> str:
    """A query with variables put in. KeyError for one that there is not."""
    return _VARIABLE.sub(lambda found: values[found["braced"] or found["plain"]], text)


@dataclass(frozen=True)
class Asked:
    """One query of one panel."""

    dashboard: str
    panel: str
    ref: str
    expression: str
    legend: str
    instant: bool

    @property
    def id(self) -> str:
        """Where it stands, in English."""
        return f"{self.dashboard}/{self.panel.split(' · ')[0]}/{self.ref}"


def variables(name: str) -> dict[str, str]:
    """The query of every variable of a dashboard that is asked of Prometheus, in their order."""
    listed = dashboard(name)["templating"]["list"]
    return {one["name"]: one["query"]["query"] for one in listed if one["type"] == "query"}


def queries(name: str) -> Iterator[Asked]:
    """Every query of a dashboard."""
    for panel in panels(dashboard(name)):
        for target in panel.get("targets", ()):
            legend = target.get("legendFormat", "")
            yield Asked(name, panel["title"], target["refId"], target["expr"], legend, bool(target.get("instant")))
