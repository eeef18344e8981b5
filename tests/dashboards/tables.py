"""A panel of kind ``table`` as a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tests.dashboards.answers import Named, joined
from tests.dashboards.grafana import View
from tests.dashboards.svg import INK, RULE, Pen, Place, fitted
from tests.dashboards.units import Field


def table(pen: Pen, panel: Mapping[str, Any], answers: Sequence[Named], _: View, place: Place) -> None:
    x, y, w, h = place
    arranged = next(one["options"] for one in panel["transformations"] if one["id"] == "organize")
    titles = dict(sorted(arranged["renameByName"].items(), key=lambda one: arranged["indexByName"][one[0]]))
    fields = {name: Field(panel["fieldConfig"], title) for name, title in titles.items()}
    rows = joined(panel, list(answers))
    (order,) = panel["options"]["sortBy"]
    by = next(name for name, title in titles.items() if title == order["displayName"])
    rows.sort(key=lambda row: (by in row, row.get(by, 0)), reverse=bool(order.get("desc")))
    numeric = [name for name in titles if name.startswith("Value")]
    narrow = min(150.0, w * 0.22)
    wide = (w - narrow * len(numeric)) / max(1, len(titles) - len(numeric))
    lefts, at = {}, x
    for name in titles:
        lefts[name] = at
        at += narrow if name in numeric else wide
    for number, row in enumerate([None, *rows][: int(h // 26)]):
        base = y + number * 26 + 18
        for name, title in titles.items():
            room = (narrow if name in numeric else wide) - 10
            if row is None:
                pen.text(lefts[name] + 4, base, fitted(title, 12, room), 12, fill="#1f60c4", bold=True)
                continue
            value, field = row.get(name), fields[name]
            if isinstance(value, float):
                colour = field.colour(value) if field.coloured else INK
                pen.text(lefts[name] + 4, base, fitted(field.text(value), 12, room), 12, fill=colour)
            elif value is not None:
                pen.text(lefts[name] + 4, base, fitted(str(value), 12, room), 12)
        pen.line([(x, base + 8), (x + w, base + 8)], RULE, thick=1)
