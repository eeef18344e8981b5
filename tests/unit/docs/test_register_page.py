"""docs/register.md names every column that the register has."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from services.core.errors import InputError
from services.register.directory import load_register
from tests.support.paths import ROOT
from tests.support.registers import write_register


@pytest.mark.parametrize("name", ["agencies.csv", "services.csv", "links.csv", "endpoints.csv"])
def test_every_column_is_described(tmp_path: Path, name: str) -> None:
    """The section of a file has each of its columns; the fault of an unknown column lists what is known."""
    write_register(tmp_path)
    file = tmp_path / name
    head, *rows = file.read_text("utf-8").splitlines()
    file.write_text("\n".join([f"{head},unheard", *(f"{row}," for row in rows)]) + "\n", "utf-8")
    with pytest.raises(InputError) as refused:
        load_register(tmp_path)
    (known,) = re.findall(r"column `unheard` is unknown; known are (.*)", "\n".join(map(str, refused.value.faults)))
    page = (ROOT / "docs" / "register.md").read_text("utf-8")
    section = page.split(f"### {name}\n")[1].split("\n###")[0]
    assert [column for column in known.split(", ") if f"`{column}`" not in section] == []
