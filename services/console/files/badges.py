"""Draws badges: one index with its bounds as a small picture, for the pages of others."""

from __future__ import annotations

from xml.etree import ElementTree as ET

from services.console.pages import Content, File, NoSuchPageError, Visit
from services.console.texts import LANGUAGES, texts_of
from services.core.codec import indicator_from_message
from services.core.errors import ApiNotApplicableError
from services.core.model import Indicator, IndicatorKind

_KINDS = {
    "government": IndicatorKind.GOVERNMENT,
    "sector": IndicatorKind.SECTOR,
    "consumer": IndicatorKind.CONSUMER,
    "provider": IndicatorKind.PROVIDER,
}
_COLOURS = ((0.5, "#b13a24"), (0.8, "#8a5a00"), (0.95, "#2f6b3f"), (2.0, "#0a7564"))
_UNKNOWN = "#5b6670"
_LABEL_WIDTH, _CHARACTER, _PADDING = 58, 6.6, 14


async def gather(visit: Visit) -> Content:
    """Return the badge of one indicator."""
    kind, entity = _KINDS.get(visit.path["kind"]), visit.path["entity"]
    if kind is None:
        raise NoSuchPageError
    try:
        figure = indicator_from_message(
            await visit.api.indicator(kind, "" if kind is IndicatorKind.GOVERNMENT else entity, visit.window)
        )
    except ApiNotApplicableError as error:
        raise NoSuchPageError from error
    language = visit.chosen("lang", *LANGUAGES)
    return Content("image/svg+xml", badge_of(figure, language))


def badge_of(figure: Indicator, language: str) -> str:
    """Return a badge as SVG: the word Peyvand, then the index out of 100 with its bounds."""
    texts = texts_of(language)
    lower, upper = texts.plain_of_hundred(figure.lower), texts.plain_of_hundred(figure.upper)
    bounds = texts.message("{lower} to {upper}", lower=lower, upper=upper)
    value = str(bounds) if figure.point is None else f"{texts.plain_of_hundred(figure.point)} ({bounds})"
    label = str(texts.message("Peyvand"))
    colour = _UNKNOWN if figure.point is None else next(shade for edge, shade in _COLOURS if figure.point < edge)
    width = _LABEL_WIDTH + round(len(value) * _CHARACTER) + _PADDING
    mirrored = texts.language.mirrored
    start, cut = (width - _LABEL_WIDTH, 0) if mirrored else (0, _LABEL_WIDTH)
    svg = ET.Element(
        "svg",
        xmlns="http://www.w3.org/2000/svg",
        width=str(width),
        height="20",
        role="img",
        direction=texts.language.direction,
    )
    svg.set("aria-label", f"{label}: {value}")
    ET.SubElement(svg, "title").text = f"{label}: {value}"
    ET.SubElement(svg, "rect", width=str(width), height="20", rx="3", fill="#16202a")
    ET.SubElement(svg, "rect", x=str(cut), width=str(width - _LABEL_WIDTH), height="20", rx="3", fill=colour)
    group = ET.SubElement(
        svg,
        "g",
        {
            "fill": "#ffffff",
            "font-family": "Vazirmatn, Verdana, sans-serif",
            "font-size": "11",
            "text-anchor": "middle",
        },
    )
    ET.SubElement(group, "text", x=str(start + _LABEL_WIDTH / 2), y="14").text = label
    ET.SubElement(group, "text", x=str(cut + (width - _LABEL_WIDTH) / 2), y="14").text = value
    return ET.tostring(svg, "unicode")


FILES = (File("badge", "/badge/{kind}/{entity}.svg", gather, is_framed=True),)
