"""Known shares and limits, as commands write them side by side."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console, RenderableType

from peyvand.v1 import indicator_pb2, indicator_service_pb2, reconciliation_pb2
from services.cli.render.format import known_percent, stated_percent, unknown_percent
from services.cli.render.history import history_chart
from services.cli.render.indicators import explanation, indicator_details, indicator_table
from services.cli.render.score import score_tables
from services.cli.render.traffic import traffic_tables
from services.cli.up.lines import slot_line
from services.core.model import IndicatorKind
from services.register.directory.load import load_register
from services.scorer.offline import score_batches
from tests.support.registers import write_register

_ALMOST = 0.79996
_INDICATOR = indicator_pb2.Indicator(
    kind=indicator_pb2.INDICATOR_KIND_GOVERNMENT,
    id="country",
    known_share=_ALMOST,
    window_days=28,
    lower=0.1,
    upper=0.5,
)


def _text(part: RenderableType) -> str:
    console = Console(file=StringIO(), width=200)
    console.print(part)
    return console.file.getvalue()  # type: ignore[attr-defined]  # a StringIO


@pytest.mark.parametrize(
    ("share", "known", "unknown"),
    [(_ALMOST, "79.9 %", "20.1 %"), (0.8, "80.0 %", "20.0 %"), (0.29, "29.0 %", "71.0 %"), (0.9999, "99.9 %", "0.1 %"), (1.0, "100.0 %", "0.0 %")],
)  # fmt: skip
def test_what_is_known_is_rounded_down_and_the_rest_is_not_known(share: float, known: str, unknown: str) -> None:
    """Less than a threshold is not written as the threshold, less than all not as all, and the two make 100."""
    assert (known_percent(share), unknown_percent(share)) == (known, unknown)


@pytest.mark.parametrize(("share", "text"), [(0.8, "80 %"), (0.825, "82.5 %"), (0.9999, "99.99 %"), (0.01, "1 %")])
def test_a_limit_keeps_its_decimals(share: float, text: str) -> None:
    """A limit is not rounded, because a number beside it would then seem to be on its other side."""
    assert stated_percent(share) == text


@pytest.mark.parametrize(
    "part",
    [
        indicator_table([_INDICATOR], "", {}, 200),
        indicator_details(_INDICATOR, UTC),
        explanation(indicator_service_pb2.ExplainIndicatorResponse(indicator=_INDICATOR), UTC, {}),
        history_chart([_INDICATOR, _INDICATOR], UTC, 200),
        slot_line(_INDICATOR, None),
    ],
    ids=["indicators", "indicator", "explain", "history", "up"],
)
def test_what_is_known_does_not_look_like_the_threshold_that_it_misses(part: RenderableType) -> None:
    """Every command that shows a known share rounds it down."""
    said = _text(part)
    assert "79.9 %" in said
    assert "80.0 %" not in said


def test_an_offline_score_rounds_down_what_is_known(tmp_path: Path) -> None:
    """``peyvand score`` shows what ``peyvand indicator`` shows."""
    register = load_register(write_register(tmp_path))
    snapshot = score_batches(register, (), at=1_772_323_200.0, windows=(28,))
    columns = dict(snapshot.columns)
    key = (IndicatorKind.GOVERNMENT, 28)
    columns[key] = replace(columns[key], known_share=columns[key].known_share * 0 + _ALMOST)
    assert "79.9 %" in _text(score_tables(register, replace(snapshot, columns=columns), (), 200))


def test_links_not_used_by_chance_do_not_look_as_few_as_the_limit() -> None:
    """What exceeds a limit is written above it."""
    traffic = reconciliation_pb2.Traffic(exchanges=5, read_days=90, unseen_share=0.0102)
    said = _text(traffic_tables(traffic, (), {}, UTC))
    assert "an estimated 1.1 % happened not to be used" in said
    assert "once that is 1 % or less" in said
