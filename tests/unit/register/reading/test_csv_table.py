"""A table whose columns are not separated by commas is one fault."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.core.errors import Fault
from services.register.faults import FaultList
from services.register.reading import read_table


@pytest.mark.parametrize(("mark", "name"), [(";", "semicolons"), ("\t", "tabs")])
def test_other_separators_are_one_fault(tmp_path: Path, mark: str, name: str) -> None:
    """A table with semicolons or tabs is refused in one sentence, not with a fault per column and row."""
    path = tmp_path / "agencies.csv"
    path.write_text(f"id{mark}name\na{mark}A\nb{mark}B\n", "utf-8")
    faults = FaultList()
    assert read_table(path, faults, required=("id", "name"), key="id").ids is None
    reason = f"its columns are separated by {name}: save the file with commas between columns"
    assert list(faults) == [Fault(str(path), 1, 1, reason)]
