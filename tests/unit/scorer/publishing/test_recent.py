"""The blocks of the latest measurements name every vantage that they have rows of."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.core.codec import decode_columns
from services.core.model.register import Register
from services.scorer.publishing import recent
from tests.support.cases.scoring import SLOT, START, Run, register, stream

__all__ = ["register"]  # the fixture


def test_a_vantage_may_begin_while_blocks_are_put(
    register: Register, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Blocks are read a few at a time. A vantage that first measures meanwhile is named in the blocks that follow."""
    monkeypatch.setattr(recent, "ENCODED_TARGETS", 1)
    scoring = Run(register, tmp_path).scoring
    north, south = (decode_columns(message.payload) for message in stream(register, slots=1, seed=2)[:2])
    scoring.take(north, stored=START + SLOT + 2, sequence=1)
    due = scoring.due(START // SLOT + 1)
    blocks = recent.recent_blocks(scoring.recent, scoring.burns, due.compiled.arrays, due.groups)
    _, first = next(blocks)
    scoring.take(south, stored=START + SLOT + 2, sequence=2)
    others = [block for _, block in blocks]
    assert first.vantages == (north.vantage,)
    assert others
    for block in others:
        assert block.vantages == (north.vantage, south.vantage)
        assert set(block.latest.numbers[1].tolist()) == {0, 1}
