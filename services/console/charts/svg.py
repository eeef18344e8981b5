"""Writes SVG that fills the available width; lengths along it are percentages, so that texts and lines keep their size.

Colours are classes of the style sheet, so that a chart follows the theme and the paper it is printed on.
"""

from __future__ import annotations

from functools import cache

from markupsafe import Markup

from services.console.texts import escaped


def element(name: str, /, *children: object, **attributes: object) -> Markup:
    """Return an element; None values are left out.

    In names of attributes ``_`` stands for ``-``, but is dropped at the end.
    """
    written = "".join(
        f' {_name(key)}="{_number(value) if isinstance(value, float) else escaped(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    inside = "".join(map(escaped, children))
    # The names are those of our charts and everything else is escaped; Markup.format would take ten times as long.
    return Markup(f"<{name}{written}>{inside}</{name}>")  # noqa: S704  # see above


def picture(height: float, title: object, *children: object, class_: str = "chart") -> Markup:
    """Return a chart of a height in pixels, as wide as its place. ``title`` describes it in words."""
    return element(
        "svg", *children, class_=class_, width="100%", height=height, role="img", aria_label=title, direction="ltr"
    )


class Across:
    """Places shares of 1 along a chart, in per cent of its width, from the side where reading begins."""

    def __init__(self, *, mirrored: bool) -> None:
        self.mirrored = mirrored

    def at(self, share: float) -> str:
        """Return the position of a share."""
        return f"{100 * (1 - share if self.mirrored else share):.3f}%"

    def span(self, start: float, end: float) -> dict[str, str]:
        """Return x and width of the span between two shares."""
        first = 1 - end if self.mirrored else start
        return {"x": f"{100 * first:.3f}%", "width": f"{100 * max(end - start, 0):.3f}%"}

    def text(self, text: object, share: float, y: float, class_: str) -> Markup:
        """Return a text at a share: centred there, but kept inside the chart near its ends."""
        anchor = "middle" if _EDGE <= share <= 1 - _EDGE else "start" if share < _EDGE else "end"
        return written(text, self.at(share), y, anchor, class_, mirrored=self.mirrored)


_EDGE = 0.06


def written(text: object, x: str, y: float, anchor: str, class_: str, *, mirrored: bool) -> Markup:
    """Return a text whose start, middle or end (``anchor``) in the direction of its language is at x."""
    direction = "rtl" if mirrored else "ltr"
    return element("text", text, x=x, y=y, text_anchor=anchor, direction=direction, class_=class_)


@cache
def _name(key: str) -> str:
    return key.rstrip("_").replace("_", "-")


def _number(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")
