"""Points of growing cost are kept and drawn."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.bench.growth.charts import chart, draw
from tests.bench.growth.figures import FIGURES
from tests.bench.growth.points import LIMIT, kept, point, with_points

SIZES = (1_000, 10_000, 100_000, 1_000_000)
BYTES = (
    "take_in_bytes",
    "points_bytes",
    "publishing_bytes",
    "evidence_bytes",
    "sealing_bytes",
    "round_bytes",
    "exchange_bytes",
)
POINTS = {
    **{name: {size: size * 1e-6 for size in SIZES} for figure in FIGURES for name in figure.series},
    **{name: {size: size * 100.0 for size in SIZES} for name in BYTES},
    **{name: {LIMIT: 1e9} for name in ("limit_copy", "limit_hash", "limit_sync", "limit_ask", "limit_handshake")},
}


def test_points_are_kept_and_the_rest_is_told(tmp_path: Path) -> None:
    """A line with a point is kept and replaces an older measurement. Every other line is passed on."""
    lines = ["first", point("take_in", 1000, 0.25), "last"]
    assert list(with_points(lines, folder=tmp_path)) == ["first", "last"]
    list(with_points([point("take_in", 1000, 0.5), point("take_in", 10_000, 5.0)], folder=tmp_path))
    assert {size: one.value for size, one in kept(tmp_path)["take_in"].items()} == {1000: 0.5, 10_000: 5.0}


def test_without_a_folder_nothing_is_kept(tmp_path: Path) -> None:
    """A benchmark without a folder keeps no points."""
    assert list(with_points([point("take_in", 1000, 0.25)], folder=None)) == []
    assert kept(tmp_path) == {}


@pytest.mark.parametrize("figure", FIGURES, ids=lambda figure: figure.name)
def test_a_picture_says_in_words_what_it_shows(figure) -> None:
    """Every picture is well-formed and small, has a title, and names the limit of the machine at the largest size."""
    text = chart(figure, POINTS, "2026-11-28, a machine")
    root = ET.fromstring(text)
    title, described = (root.findtext(f"{{http://www.w3.org/2000/svg}}{name}") for name in ("title", "desc"))
    assert title == figure.title
    assert f"1,000,000 {figure.counted}" in (described or "")
    assert figure.limit in (described or "")
    assert ("at best" in text) is bool(figure.limit)
    assert len(text) < 10_000


def test_what_is_not_measured_is_not_drawn(tmp_path: Path) -> None:
    """A picture is written for each figure with points, and for no other."""
    list(with_points([point("take_in", 1000, 0.25)], folder=tmp_path))
    list(draw(tmp_path))
    assert [file.name for file in tmp_path.glob("*.svg")] == ["take-in.svg"]
