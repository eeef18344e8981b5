"""Numbers and names as commands write them."""

from __future__ import annotations

import pytest

from peyvand.v1 import indicator_service_pb2
from services.cli.render.format import gain, name_of, points
from services.core.model.register import Government


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
    """A gain may exceed the loss, and rounding makes none negative."""
    cost = indicator_service_pb2.LinkCost(loss=0.1, index_if_fixed=0.7)
    assert gain(cost, 0.5) == "20 pp"
    assert gain(cost, 0.7 + 2e-16) == "0.0 pp"


@pytest.mark.parametrize(
    ("environment", "names", "shown"),
    [
        ({"LANG": "fa_IR.UTF-8"}, ("Customs", "گمرک"), "گمرک"),
        ({"LANG": "en_US.UTF-8"}, ("Customs", "گمرک"), "Customs"),
        ({"LANG": "fa_IR.UTF-8", "LC_ALL": "C"}, ("Customs", "گمرک"), "Customs"),
        ({"LANG": "fa_IR.UTF-8"}, ("Customs", ""), "Customs"),
        ({}, ("", "گمرک"), "گمرک"),
    ],
)
def test_a_name_is_in_the_language_of_the_environment(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], names: tuple[str, str], shown: str
) -> None:
    """A name is in the other language only if it is missing in this one."""
    for variable in ("LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(variable, raising=False)
    for variable, value in environment.items():
        monkeypatch.setenv(variable, value)
    assert name_of(Government("g", *names)) == shown
