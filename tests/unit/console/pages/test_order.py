"""Lists that are ordered by name."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from services.register.directory import load_register
from tests.support.cases.api.server import Api
from tests.support.registers import AGENCIES, write_register

_NAMED = (
    AGENCIES.replace("سازمان ثبت احوال", "گمرک")
    .replace("سازمان ثبت اسناد", "پست")
    .replace(",گمرک,economy", ",وزارت نیرو,economy")
)
_ROWS = re.compile(r'<tr[^>]*><th scope="row"><a [^>]*>([^<]*)</a>')
_CHOICES = re.compile(r'<option value="(?:culture|education|farming)">([^<]*)</option>')


@pytest.mark.parametrize("path", ["/fa/agencies?sort=name", "/fa/matrix?sort=name"])
async def test_agencies_are_in_alphabetical_order(api: Api, make_console: Any, tmp_path: Path, path: str) -> None:
    """Agencies have the order of their names in the language of the page."""
    api.take_register(load_register(write_register(tmp_path / "named", agencies_csv=_NAMED)))
    shown = _ROWS.findall((await (await make_console()).get(path)).text)
    assert len(shown) > 2
    assert shown == [name for name in ("پست", "سازمان امور مالیاتی", "گمرک", "وزارت نیرو") if name in shown]


@pytest.mark.parametrize(
    ("language", "other", "names"),
    [("en", "farming", ["Agriculture", "Culture"]), ("fa", "education", ["آموزش و علوم", "فرهنگ"])],
)
async def test_sectors_are_in_alphabetical_order(
    api: Api, make_console: Any, tmp_path: Path, language: str, other: str, names: list[str]
) -> None:
    """Sectors have the order of their names, not of their ids, where one is chosen and in the matrix."""
    agencies = AGENCIES.replace("justice", "culture").replace("economy", other)
    api.take_register(load_register(write_register(tmp_path / "named", agencies_csv=agencies)))
    console = await make_console()
    assert _CHOICES.findall((await console.get(f"/{language}/agencies")).text) == names
    assert _ROWS.findall((await console.get(f"/{language}/matrix?level=sector&sort=name")).text) == names
    grouped = (await console.get(f"/{language}/matrix?sort=sector")).text
    consumers = [
        api.state.model.view.register.agencies[one]
        for one in re.findall(r'<th scope="row"><a href="/../agency/([a-z-]+)"', grouped)
    ]
    assert [agency.sector for agency in consumers] == sorted(
        (one.sector for one in consumers), key=[other, "culture"].index
    )
