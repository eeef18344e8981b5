"""Defines what values look like on every dashboard: colours of stages, thresholds, words for numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from grafana_foundation_sdk.builders.dashboard import FieldColor, ThresholdsConfig
from grafana_foundation_sdk.models.dashboard import (
    DynamicConfigValue,
    FieldColorModeId,
    Threshold,
    ThresholdsMode,
    ValueMap,
    ValueMappingResult,
)

from services.core.model import Stage

__all__ = [
    "ANSWER_TIME",
    "BAD_IS_MORE",
    "BROWN",
    "GREEN",
    "GREY",
    "LEVELS",
    "LOST",
    "ORANGE",
    "PLAIN",
    "RED",
    "SHARE",
    "STAGES",
    "STAGE_COLOURS",
    "STAGE_NAMES",
    "STAGE_SERIES",
    "YELLOW",
    "Steps",
    "coloured",
    "dashed",
    "from_stages",
    "from_thresholds",
    "in_colour",
    "judged",
    "named",
    "palette",
    "shown_as",
    "steps",
    "unlisted",
    "words",
]

GREEN, YELLOW, ORANGE, RED, GREY, BROWN = "#56a64b", "#f2cc0c", "#ff780a", "#e02f44", "#8e8e8e", "#6d4c41"

STAGE_COLOURS: Mapping[Stage, str] = {
    Stage.NOT_CONNECTED: "#c4162a",
    Stage.NOT_ANSWERED: "#fa6400",
    Stage.INVALID: "#8f3bb8",
    Stage.LATE: "#e0b400",
    Stage.STALE: "#3274d9",
    Stage.OK: GREEN,
}

STAGE_NAMES: Mapping[Stage, str] = {
    Stage.NOT_CONNECTED: "Not connected · وصل نشد",
    Stage.NOT_ANSWERED: "Not answered · پاسخ نداد",
    Stage.INVALID: "Invalid · نادرست",
    Stage.LATE: "Late · دیر",
    Stage.STALE: "Stale · کهنه",
    Stage.OK: "OK · درست",
}

Steps = tuple[tuple[float | None, str], ...]
"""Values (None: the lowest) from which on a value has a colour, each with its colour."""

PLAIN: Steps = ((None, "transparent"),)
"""No thresholds."""

SHARE: Steps = ((None, RED), (0.5, ORANGE), (0.8, YELLOW), (0.95, GREEN))
"""A share, better when larger; .95 is the SLO of a link unless the register says otherwise."""

LOST: Steps = ((None, "transparent"), (0.05, YELLOW), (0.2, ORANGE), (0.5, RED))
"""What is lost of a share, on lines: ``SHARE`` read from above."""

ANSWER_TIME: Steps = ((None, "transparent"), (2, ORANGE), (5, RED))
"""Seconds a probe takes, on lines: a link's latency limit and a probe's deadline, unless the register says otherwise."""

BAD_IS_MORE: Steps = ((None, GREEN), (1, RED))
"""Values that should be zero."""

_LEVEL_WORDS = (
    ("0 isolated · ۰ جدا", RED),
    ("1 some link works · ۱ آغاز", ORANGE),
    ("2 all connect · ۲ متصل", YELLOW),
    ("3 integrated · ۳ یکپارچه", "#96d98d"),
    ("4 seamless · ۴ بی‌درز", GREEN),
)


def steps(of: Steps) -> ThresholdsConfig:
    """Return thresholds at absolute values."""
    return (
        ThresholdsConfig()
        .mode(ThresholdsMode.ABSOLUTE)
        .steps([Threshold(value=value, color=colour) for value, colour in of])
    )


def from_stages() -> Steps:
    """Return thresholds that colour numbers of stages as stages."""
    return tuple(
        (None if stage is Stage.NOT_CONNECTED else float(stage), colour) for stage, colour in STAGE_COLOURS.items()
    )


def from_thresholds() -> FieldColor:
    """Colour a value by the threshold it has passed."""
    return FieldColor().mode(FieldColorModeId.THRESHOLDS)


def palette() -> FieldColor:
    """Give each series a colour of its own."""
    return FieldColor().mode(FieldColorModeId.PALETTE_CLASSIC)


def words(of: Iterable[tuple[float, str, str]]) -> ValueMap:
    """Show numbers as words: (number, word, colour)."""
    return ValueMap(
        {
            f"{number:g}": ValueMappingResult(text=text, color=colour, index=index)
            for index, (number, text, colour) in enumerate(of)
        }
    )


STAGES = words((stage, STAGE_NAMES[stage], STAGE_COLOURS[stage]) for stage in Stage)
LEVELS = words((level, text, colour) for level, (text, colour) in enumerate(_LEVEL_WORDS))


def coloured(colour: str) -> DynamicConfigValue:
    """Return the property that fixes a series' colour."""
    return DynamicConfigValue("color", {"mode": "fixed", "fixedColor": colour})


def dashed() -> DynamicConfigValue:
    """Return the property that dashes a series' line."""
    return DynamicConfigValue("custom.lineStyle", {"fill": "dash", "dash": [8, 6]})


def unlisted() -> DynamicConfigValue:
    """Return the property that keeps a series out of legend and tooltip."""
    return DynamicConfigValue("custom.hideFrom", {"legend": True, "tooltip": True, "viz": False})


def in_colour() -> DynamicConfigValue:
    """Return the property that colours a column's text by its thresholds."""
    return DynamicConfigValue("custom.cellOptions", {"type": "color-text"})


def judged(of: Steps) -> DynamicConfigValue:
    """Return the property that gives a series thresholds of its own."""
    return DynamicConfigValue(
        "thresholds", {"mode": "absolute", "steps": [{"value": value, "color": colour} for value, colour in of]}
    )


def named(name: str) -> DynamicConfigValue:
    """Return the property that sets a series' or column's name."""
    return DynamicConfigValue("displayName", name)


STAGE_SERIES: Mapping[str, list[DynamicConfigValue]] = {
    stage.label: [named(STAGE_NAMES[stage]), coloured(STAGE_COLOURS[stage])] for stage in Stage
}
"""The properties of series that are stages, by the stage's label."""


def shown_as(unit: str, decimals: int | None = None) -> list[DynamicConfigValue]:
    """Return the properties of a column with a unit of its own."""
    found = [DynamicConfigValue("unit", unit)]
    return found if decimals is None else [*found, DynamicConfigValue("decimals", decimals)]
