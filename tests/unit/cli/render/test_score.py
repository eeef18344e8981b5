"""The tables of ``peyvand score`` in terminals of several widths."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from services.cli.render.score import score_tables
from services.register.directory.load import load_register
from services.scorer.offline import score_batches
from tests.support.registers import write_register

AT = 1_772_323_200.0


@pytest.mark.parametrize(
    ("width", "columns"),
    [
        (80, []),
        (110, ["strict"]),
        (150, ["strict", "not connected", "not answered", "invalid", "late", "stale"]),
    ],
)
def test_columns_fit_the_terminal(tmp_path: Path, width: int, columns: list[str]) -> None:
    """No id is broken and no number is cut. Columns without room are left out, losses first."""
    register = load_register(write_register(tmp_path))
    text = io.StringIO()
    snapshot = score_batches(register, (), at=AT, windows=(28,))
    Console(file=text, width=width).print(score_tables(register, snapshot, (), width))
    lines = [" ".join(line.split()) for line in text.getvalue().splitlines()]
    heading = "index interval bounds known strict links absent not connected not answered invalid late stale"
    for name in ("strict", "not connected", "not answered", "invalid", "late", "stale"):
        heading = heading if name in columns else heading.replace(f" {name}", "")
    assert heading in lines
    assert "…" not in text.getvalue()
    ids = {line.split()[0] for line in lines if line}
    assert {"country", *register.agencies, *register.services, *register.links} <= ids
    named = {one.name_en for one in register.agencies.values()} | {one.name_en for one in register.services.values()}
    assert [name for name in named if not any(line == name or line.startswith(f"{name} ") for line in lines)] == []
