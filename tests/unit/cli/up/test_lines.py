"""The lines that ``peyvand up`` prints where it has no screen."""

from __future__ import annotations

import pytest

from peyvand.v1 import indicator_pb2
from services.cli.up.lines import slot_line


@pytest.mark.parametrize(
    ("losses", "rate", "end"),
    [
        ({}, 0.0033, "nothing lost  0.0033 probes/s"),
        ({}, 0.0499, "nothing lost  0.05 probes/s"),
        ({}, 0.0, "nothing lost  0 probes/s"),
        ({"late": 0.02, "not_connected": 0.1}, 62.4, "most lost: not connected 10.0 %  62 probes/s"),
        ({"stale": 0.3}, None, "most lost: stale 30.0 %  - probes/s"),
    ],
)
def test_a_slot_is_a_line(losses: dict[str, float], rate: float | None, end: str) -> None:
    """A line names the stage at which most is lost, or that nothing is."""
    indicator = indicator_pb2.Indicator(point=0.5, known_share=1.0, losses=indicator_pb2.Losses(**losses))
    assert slot_line(indicator, rate).endswith(end)


def test_a_slot_without_a_point_names_no_loss() -> None:
    """Without a point the line says neither where most is lost nor that nothing is."""
    for losses in ({}, {"late": 0.02}):
        indicator = indicator_pb2.Indicator(upper=1.0, known_share=0.1, losses=indicator_pb2.Losses(**losses))
        assert slot_line(indicator, 62.4).endswith(
            "index not publishable  bounds 0.0-100.0 %  known 10.0 %  62 probes/s"
        )
