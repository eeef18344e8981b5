"""Lists every dashboard by its name, and writes it as JSON."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from string import ascii_uppercase

from grafana_foundation_sdk.builders.dashboard import Dashboard
from grafana_foundation_sdk.cog.encoder import JSONEncoder

from deploy.dashboards import agency, government, link, pipeline

__all__ = ["DASHBOARDS", "rendered"]

DASHBOARDS: Mapping[str, Callable[[], Dashboard]] = {
    "government": government.dashboard,
    "agency": agency.dashboard,
    "link": link.dashboard,
    "pipeline": pipeline.dashboard,
}


def rendered(name: str) -> str:
    """Return a dashboard as the JSON that Grafana provisions."""
    model = DASHBOARDS[name]().build()
    for number, panel in enumerate(model.panels or (), start=1):
        panel.id_val = number
        for letter, target in zip(ascii_uppercase, getattr(panel, "targets", None) or (), strict=False):
            target.ref_id = letter
    return JSONEncoder(sort_keys=True, indent=2, ensure_ascii=False).encode(model) + "\n"
