"""Changes between two rounds, if they can be compared."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from services.cli.command_line import app
from services.cli.rounds import report
from services.cli.rounds.compare import compare
from services.cli.rounds.freeze import RoundRequest, freeze
from services.cli.rounds.verify import verify_round
from services.core.model import Indicator, IndicatorKind, Interval, Losses
from services.dataset.log import SigningKey
from services.dataset.storage import LocalStorage
from tests.support.cases.datasets.round_folders import SPAN, dataset, directory, frozen, key
from tests.support.cases.scoring import register_of_long_slots as register

__all__ = ["dataset", "directory", "frozen", "key", "register"]

BEFORE = Indicator(
    kind=IndicatorKind.GOVERNMENT,
    id="country",
    window_days=30,
    as_of=0,
    point=0.4,
    lower=0.4,
    upper=0.4,
    known_share=1.0,
    losses=Losses(late=0.6),
    interval=Interval(0.35, 0.45, 0.95),
    method_version="5",
)
NOW = replace(BEFORE, point=0.8, lower=0.8, upper=0.8, interval=Interval(0.75, 0.85, 0.95))
AGENCY = (IndicatorKind.PROVIDER, "customs")


@pytest.mark.parametrize(("days", "compared"), [(30, True), (31, True), (29, True), (92, False), (7, False)])
def test_months_are_compared_and_a_quarter_is_no_month(days: int, compared: bool) -> None:
    """Rounds of similar length are compared. For others no moves or bands are listed, and both lengths are given."""
    moves = compare("spring", [BEFORE], [replace(NOW, window_days=days)], {AGENCY: (1, 2)}, {AGENCY: (3, 4)})
    assert [move.id for move in moves.beyond_chance] == ["country"] * compared
    assert moves.bands == (AGENCY,) * compared
    assert (moves.are_compared, moves.windows) == (compared, None if compared else (30, days))


def test_rounds_of_different_methods_are_not_compared() -> None:
    """A new method gives other numbers for the same evidence, which must not look like a change."""
    moves = compare("spring", [BEFORE], [replace(NOW, method_version="6")])
    assert (moves.beyond_chance, moves.methods, moves.are_compared) == ((), ("5", "6"), False)


def test_a_round_says_that_it_is_not_compared(
    frozen: Path,
    dataset: LocalStorage,
    key: SigningKey,
    directory: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The command and both reports say so, and the round is whole."""
    said: list[str] = []
    changes = report._changes

    def noted(*given: Any) -> Any:
        found = changes(*given)
        assert found is not None
        said.append(found["unlike"])
        return found

    monkeypatch.setattr(report, "_changes", noted)
    request = RoundRequest(
        "short", SPAN[0], date.fromordinal(SPAN[0].toordinal() + 1), register=directory, previous=frozen
    )
    short = freeze(dataset.address, tmp_path, key, request)
    assert said == [
        "The two rounds have 2 and 1 days, so their indexes are not compared.",
        "طول این دو دوره ۲ و ۱ روز است و شاخص‌های آن‌ها با یکدیگر مقایسه نمی‌شود.",
    ]
    assert verify_round(short, key.public).faults == ()
    run = CliRunner().invoke(app, ["round", "compare", str(frozen), str(short)])
    assert "They are of 2 and 1 days: their indexes are not compared." in run.output
    assert "beyond chance" not in run.output
