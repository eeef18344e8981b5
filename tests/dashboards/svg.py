"""Pieces of an SVG picture. The viewer shapes the text: Persian is written as it is read."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from html import escape

__all__ = ["INK", "QUIET", "RULE", "Pen", "Place", "fitted", "width"]

INK, QUIET, RULE = "#24292e", "#6a737d", "#e4e7eb"

Place = tuple[float, float, float, float]
"""Left, top, width and height."""


def width(text: str, size: float) -> float:
    """About how wide a text is."""
    return sum(0 if unicodedata.combining(each) else 0.62 if each.isupper() else 0.55 for each in text) * size


def fitted(text: str, size: float, room: float) -> str:
    """A text, cut to the room there is."""
    while text and width(text, size) > room:
        text = text[:-2].rstrip(" ·") + "…" if len(text) > 2 else ""
    return text


class Pen:
    """Draws into a list of elements."""

    def __init__(self) -> None:
        self.elements: list[str] = []

    def box(self, x: float, y: float, w: float, h: float, fill: str, *, stroke: str = "", round_: float = 0) -> None:
        """A rectangle."""
        edge = f' stroke="{stroke}"' if stroke else ""
        corner = f' rx="{round_:g}"' if round_ else ""
        self.elements.append(
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(w, 0):.1f}" height="{max(h, 0):.1f}" fill="{fill}"{edge}{corner}/>'
        )

    def text(
        self, x: float, y: float, text: str, size: float = 12, *, fill: str = INK, anchor: str = "", bold: bool = False
    ) -> None:
        """A line of text on its base line."""
        kept = (f' text-anchor="{anchor}"' if anchor else "") + (' font-weight="600"' if bold else "")
        self.elements.append(
            f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size:g}" fill="{fill}"{kept}>{escape(text)}</text>'
        )

    def line(
        self, points: Iterable[tuple[float, float]], stroke: str, *, thick: float = 1.5, dashed: bool = False
    ) -> None:
        """An open line through points."""
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        dashes = ' stroke-dasharray="5 4"' if dashed else ""
        self.elements.append(
            f'<polyline points="{path}" fill="none" stroke="{stroke}" stroke-width="{thick:g}"{dashes}/>'
        )

    def area(self, points: Iterable[tuple[float, float]], fill: str, opacity: float) -> None:
        """A closed area."""
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        self.elements.append(f'<polygon points="{path}" fill="{fill}" fill-opacity="{opacity:g}"/>')

    def picture(self, w: float, h: float, title: str, described: str = "") -> str:
        """All of it as one file; ``described`` says in words what it shows, for who does not see it."""
        told = f"<desc>{escape(described)}</desc>" if described else ""
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {w:.0f} {h:.0f}" width="{w:.0f}" height="{h:.0f}" '
            f'font-family="DejaVu Sans, Vazirmatn, Segoe UI, Tahoma, sans-serif" role="img"><title>{escape(title)}</title>{told}\n'
            + "\n".join(self.elements)
            + "\n</svg>\n"
        )
