"""Values as Grafana words them: units, mappings to words, colours by threshold."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["PALETTE", "Field", "worded"]

PALETTE = ("#56a64b", "#f2cc0c", "#5794f2", "#ff780a", "#e02f44", "#1f60c4", "#b877d9", "#705da0", "#37872d", "#c4162a")
_TEXT = "#24292e"
_SPANS = (
    (86_400.0 * 7, "weeks"),
    (86_400.0, "days"),
    (3600.0, "h"),
    (60.0, "min"),
    (1.0, "s"),
    (1e-3, "ms"),
    (1e-6, "µs"),
)


def worded(value: float, unit: str, decimals: int | None = None) -> str:
    """A number with its unit."""
    if unit == "percentunit":
        return f"{value * 100:.{1 if decimals is None else decimals}f}%"
    if unit == "s":
        size, word = next((span for span in _SPANS if abs(value) >= span[0]), (1.0, "s"))
        return f"{_plain(value / size, decimals)} {word}"
    if unit == "bytes":
        power = min(3, int(math.log(max(abs(value), 1), 1024)))
        return f"{_plain(value / 1024**power, decimals)} {('B', 'KiB', 'MiB', 'GiB')[power]}"
    if unit == "short" and abs(value) >= 1000:
        power = min(3, int(math.log10(abs(value)) // 3))
        return f"{_plain(value / 1000**power, decimals)} {('', 'K', 'Mil', 'Bil')[power]}"
    return _plain(value, decimals) + {"ops": " ops/s", "reqps": " req/s"}.get(unit, "")


def _plain(value: float, decimals: int | None) -> str:
    if decimals is not None:
        return f"{value:.{decimals}f}"
    return f"{value:.0f}" if value == round(value) or abs(value) >= 100 else f"{value:.3g}"


class Field:
    """How the values of one series or column of a panel are shown, overrides by its name applied."""

    def __init__(self, config: Mapping[str, Any], name: str, number: int = 0) -> None:
        found: dict[str, Any] = {}
        for override in config["overrides"]:
            if override["matcher"]["options"] == name:
                found.update({one["id"]: one["value"] for one in override["properties"]})
        self._found = {**config["defaults"], **found}
        self._number = number
        self.name: str = found.get("displayName", name)
        self.unlisted: bool = bool(found.get("custom.hideFrom", {}).get("legend"))
        self.coloured: bool = found.get("custom.cellOptions", {}).get("type") == "color-text"
        self.highest: float | None = self._found.get("max")

    def text(self, value: float) -> str:
        """The word that stands for a value, or the value with its unit."""
        mapped = self._mapped(value)
        return mapped["text"] if mapped else worded(value, self._found["unit"], self._found.get("decimals"))

    def colour(self, value: float) -> str:
        """The colour of a value: of its word, its series, or the threshold it has passed."""
        mapped = self._mapped(value)
        if mapped:
            return str(mapped["color"])
        return self.line if self._found["color"]["mode"] != "thresholds" else _shown(self._passed(value))

    @property
    def line(self) -> str:
        """The colour of the series as a whole."""
        fixed = self._found["color"].get("fixedColor")
        return _shown(fixed) if fixed else PALETTE[self._number % len(PALETTE)]

    @property
    def thresholds(self) -> list[tuple[float, str]]:
        """From which value on which colour, the lowest left out."""
        return [(step["value"], _shown(step["color"])) for step in self._steps if step["value"] is not None]

    @property
    def _steps(self) -> Sequence[Mapping[str, Any]]:
        return self._found["thresholds"]["steps"]

    def _passed(self, value: float) -> str:
        return [str(step["color"]) for step in self._steps if step["value"] is None or value >= step["value"]][-1]

    def _mapped(self, value: float) -> Mapping[str, Any] | None:
        words = [one["options"] for one in self._found.get("mappings", ()) if one["type"] == "value"]
        return next((options[f"{value:g}"] for options in words if f"{value:g}" in options), None)


def _shown(colour: str) -> str:
    return {"text": _TEXT, "transparent": "none"}.get(colour, colour)
