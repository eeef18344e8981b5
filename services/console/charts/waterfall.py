"""Draws where 100 inquiries go: each stage takes some, and the rest is answered."""

from __future__ import annotations

from markupsafe import Markup

from services.console.charts.svg import Across, element, picture
from services.console.texts import Texts
from services.core.model import LOSS_STAGES, Losses

_ROW, _BAR = 50.0, 16.0


def waterfall_chart(texts: Texts, losses: Losses) -> Markup:
    """Return the waterfall of 100 required inquiries."""
    across = Across(mirrored=texts.language.mirrored)
    left = 1.0
    parts: list[Markup] = []
    rows: list[tuple[str, str, float, float]] = [(texts.message("Required"), "required", 0.0, 1.0)]
    for stage in LOSS_STAGES:
        loss = getattr(losses, stage)
        rows.append((texts.word("stage", stage), stage, max(left - loss, 0.0), left))
        left -= loss
    rows.append((texts.word("stage", "ok"), "ok", 0.0, max(left, 0.0)))
    for number, (label, kind, start, end) in enumerate(rows):
        top = number * _ROW
        taken = kind not in ("required", "ok")
        value = texts.plain_number(100 * (start - end if taken else end - start), 1 if kind != "required" else 0)
        parts += [
            across.text(label, 0, top + 15, "label"),
            across.text(value, 1, top + 15, "value"),
            element("rect", **across.span(0, 1), y=top + 25, height=_BAR, class_="track"),
            element("rect", **across.span(start, end), y=top + 25, height=_BAR, class_=f"bar {kind}"),
        ]
        if taken:
            x = across.at(end)
            parts.append(element("line", x1=x, x2=x, y1=top + 25 - _ROW + _BAR, y2=top + 25 + _BAR, class_="step"))
    title = texts.message("Where 100 required inquiries go; the table below has the numbers.")
    return picture(_ROW * len(rows), title, *parts)
