"""A whole dashboard as one picture: every panel in its place of the grid, with what it answers."""

from __future__ import annotations

import time

from tests.dashboards.answers import answered
from tests.dashboards.charts import drawn
from tests.dashboards.grafana import View, dashboard
from tests.dashboards.svg import INK, QUIET, Pen, fitted

__all__ = ["picture"]

_COLUMN, _ROW, _GAP = 60.0, 38.0, 8.0
_TOP = 46.0


def picture(where: str, name: str, view: View) -> str:
    """Ask for a dashboard's panels and draw them; SVG."""
    made = dashboard(name)
    pen = Pen()
    wide = 24 * _COLUMN
    places = [panel["gridPos"] for panel in made["panels"]]
    high = _TOP + max(place["y"] + place["h"] for place in places) * _ROW
    pen.box(0, 0, wide, high, "#f4f5f7")
    pen.text(12, 28, made["title"], 18, bold=True)
    own = {one["name"] for one in made["templating"]["list"]}
    chosen = [f"{one}: {value}" for one, value in view.variables.items() if one in own and value != ".+"]
    span = time.strftime("%Y-%m-%d %H:%M", time.gmtime(view.start)), time.strftime("%H:%M UTC", time.gmtime(view.end))
    pen.text(wide - 12, 28, " · ".join((*chosen, "-".join(span))), 12, fill=QUIET, anchor="end")
    for panel in made["panels"]:
        grid = panel["gridPos"]
        x, y = grid["x"] * _COLUMN, _TOP + grid["y"] * _ROW
        w, h = grid["w"] * _COLUMN, grid["h"] * _ROW
        if panel["type"] == "row":
            pen.text(x + 12, y + 25, f"▾ {panel['title']}", 15, fill=INK, bold=True)
            continue
        pen.box(x + _GAP / 2, y + _GAP / 2, w - _GAP, h - _GAP, "#fff", stroke="#dfe2e5", round_=3)
        pen.text(x + 14, y + 24, fitted(panel["title"], 13, w - 24), 13, bold=True)
        drawn(pen, panel, answered(where, panel, view), view, (x + 14, y + 36, w - 28, h - 48))
    return pen.picture(wide, high, made["title"])
