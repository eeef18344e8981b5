"""The slope and the chart of a soak. `make soak` measures real components."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest

from tests.soak.__main__ import slope
from tests.soak.chart import memory_chart

STEADY = [(hour / 12, 100 + 0.5 * hour / 12) for hour in range(288)]


def test_the_first_third_does_not_count() -> None:
    """Memory that a component takes while it warms up is no growth. Steady growth is given in MiB per hour."""
    assert slope(STEADY) == pytest.approx(0.5)
    assert slope([(hour, mib + (400 if hour > 4 else 0)) for hour, mib in STEADY]) == pytest.approx(0.5)


def test_a_line_for_each_component() -> None:
    """The chart is well-formed, with a line and a name for each component."""
    root = ET.fromstring(memory_chart({"scorer": STEADY, "a<b": STEADY[:1]}))
    assert len(root.findall("{*}polyline")) == 2
    assert {"scorer", "a<b"} <= {text.text for text in root.findall("{*}text")}
