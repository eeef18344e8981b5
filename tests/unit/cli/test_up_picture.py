"""The table that ``peyvand up`` draws: the three bars in one line."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from peyvand.v1 import indicator_pb2
from services.cli.picture import Picture, table


def drawn(**bars: object) -> str:
    """The table as text, with these bars."""
    picture = Picture(
        title="t",
        started=0.0,
        now=1.0,
        indicator=indicator_pb2.Indicator(point=0.5, lower=0.5, upper=0.5, known_share=1.0),
        explained=None,
        three_bars=indicator_pb2.ThreeBars(**bars) if bars else None,
        providers=(),
        trend=(),
        probes_per_second=None,
        restarts=(),
        waiting_for="",
        addresses="",
        next_steps="",
    )
    text = io.StringIO()
    Console(file=text, width=100).print(table(picture))
    return text.getvalue()


@pytest.mark.parametrize(
    ("bars", "line"),
    [
        (
            {"official": 0.5019, "official_round": "5", "declared": 0.85, "measured": 0.5},
            "three bars: official, round 5 50.2 % · declared 85.0 % · measured 50.0 %",
        ),
        ({"declared": 0.85}, "three bars: official not stated · declared 85.0 % · measured not publishable"),
    ],
)
def test_three_bars_are_one_line(bars: dict[str, object], line: str) -> None:
    """Each bar is there with what it says, and a bar that is unset says so instead of 0."""
    assert line in drawn(**bars)


def test_without_bars_there_is_no_line() -> None:
    """Before the api has told the bars, nothing is said of them."""
    assert "three bars" not in drawn()
