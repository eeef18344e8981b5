"""Outcomes of reasons."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

from services.core.model import outcome


def test_a_reason_outside_every_range_is_refused(tmp_path: Path) -> None:
    """A new reason whose number has no range does not pass for one of another outcome."""
    source = Path(outcome.__file__).read_text("utf-8")
    (tmp_path / "outcome.py").write_text(source.replace("    STALE = 90\n", "    STALE = 90\n    NEW = 100\n"), "utf-8")
    with pytest.raises(KeyError, match="NEW"):
        runpy.run_path(str(tmp_path / "outcome.py"))
