"""How commands write numbers."""

from __future__ import annotations

import pytest

from peyvand.v1 import indicator_service_pb2
from services.cli.render.format import gain, points


@pytest.mark.parametrize(
    ("share", "told"),
    [
        (1.0, "100 pp"),
        (0.125, "12 pp"),
        (0.0996, "10 pp"),
        (1 / 12, "8.3 pp"),
        (0.00794, "0.79 pp"),
        (0.8e-4, "0.0080 pp"),
        (1.23e-7, "0.000012 pp"),
        (0.0, "0.0 pp"),
    ],
)
def test_points_distinguish_small_parts(share: float, told: str) -> None:
    """Any part, however small, has two digits, and never a power of ten."""
    assert points(share) == told


def test_a_gain_is_how_much_higher_the_index_would_be() -> None:
    """It may be more than the loss, and rounding makes none negative."""
    cost = indicator_service_pb2.LinkCost(loss=0.1, index_if_fixed=0.7)
    assert gain(cost, 0.5) == "20 pp"
    assert gain(cost, 0.7 + 2e-16) == "0.0 pp"
