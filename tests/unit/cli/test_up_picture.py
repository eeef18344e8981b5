"""The table that ``peyvand up`` draws: the three bars, and the data bus, in one line each."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from peyvand.v1 import indicator_pb2
from services.cli.picture import Exchanges, Picture, table

NOTHING = Exchanges()


def drawn(exchanges: Exchanges = NOTHING, **bars: object) -> str:
    """The table as text, with these bars and these exchanges."""
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
        exchanges=exchanges,
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


def test_what_the_data_bus_carried_is_one_line() -> None:
    """Exchanges are told as soon as any record of one was read, and not before."""
    assert "data bus" not in drawn()
    told = drawn(Exchanges(records=2460, paired=1200, orphans=7))
    assert "data bus: 1,200 exchanges logged by both sides, 7 by one so far; 2,460 records" in told
