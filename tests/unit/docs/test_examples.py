"""The example registers of docs/examples have no faults and claim no more about official rounds than was announced."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from services.cli.commands.register import app
from services.core.model import EvaluationRound
from services.register.directory.load import load_register
from services.register.rounds import agencies_by_name, growths, match_agency
from tests.support.paths import ROOT

EXAMPLES = sorted(path for path in (ROOT / "docs/examples").iterdir() if path.is_dir())
ROUNDS = ROOT / "docs/examples/official-rounds"


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_the_example_is_good(example: Path) -> None:
    """`register check` reports neither a fault nor a warning."""
    result = CliRunner().invoke(app, ["check", str(example)])
    assert result.exit_code == 0
    assert f"register {example} is good" in result.stdout
    assert "warning" not in result.output


def test_known_rounds_are_quoted_and_never_reproduced() -> None:
    """No growth between rounds is computed, no weighting gives the overall score, and every agency is matched."""
    register = load_register(ROUNDS)
    evaluation = register.evaluation
    assert evaluation is not None
    first, second, fifth, sixth, twelfth = evaluation.rounds
    assert list(growths(evaluation)) == []
    assert [each.overall_percent for each in evaluation.rounds] == [None, None, 62.8, None, None]
    assert second.overall_percent_more_than == 38
    scores = [score for score in fifth.dimension_percent.values() if score is not None]
    assert sum(scores) / len(scores) == pytest.approx(68.35)
    assert "68.35" in evaluation.note
    assert (first.model, sixth.model, twelfth.model) == ("", "", "smart")
    assert set(twelfth.dimension_percent.values()) == {None}
    names = agencies_by_name(register)
    for each in evaluation.rounds:
        assert all(match_agency(names, who) for who in (*each.announced_top_agencies, *each.announced_weakest_agencies))


@pytest.mark.parametrize(
    "each", getattr(load_register(ROUNDS).evaluation, "rounds", ()), ids=lambda each: str(each.round)
)
def test_every_known_figure_has_its_source(each: EvaluationRound) -> None:
    """Everything that a round states has a source, figures and words alike."""
    stated = {
        name
        for name in EvaluationRound.__slots__
        if name not in ("round", "note", "sources", "dimension_percent") and getattr(each, name) not in (None, "", ())
    }
    assert stated <= set(each.sources)
    assert all(each.sources.values())
