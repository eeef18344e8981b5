"""Names of a register that would harm a page."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

import pytest

from services.register.directory import load_register
from tests.support.cases.api.server import empty_api
from tests.support.console.case import NAMED_PAGES, frozen_rounds, make_console, rounds
from tests.support.registers import write_register

__all__ = ["empty_api", "frozen_rounds", "make_console", "rounds"]

HOSTILE = [
    "<script>alert(1)</script>",
    "\"onmouseover='alert(1)'",
    "\N{RIGHT-TO-LEFT OVERRIDE}evil\N{LEFT-TO-RIGHT OVERRIDE}",
    "x" * 10_000,
    "\N{PILE OF POO}\N{ZERO WIDTH JOINER}\N{FLAG IN HOLE}",
    "{{ 7 * 7 }}{% raw %}",
    "</title></svg><img src=x onerror=alert(1)>",
    "=HYPERLINK(1)",
]


class _Elements(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.scripts: list[str] = []
        self.handlers: list[str] = []
        self.images: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "script":
            self.scripts.append(given.get("src") or "inline")
        if tag == "img":
            self.images.append(given.get("src") or "")
        self.handlers += [name for name in given if name.startswith("on")]
        self.handlers += [value for value in given.values() if value and value.startswith("javascript:")]


@pytest.fixture(params=HOSTILE, ids=[str(number) for number in range(len(HOSTILE))])
def register(request: pytest.FixtureRequest, tmp_path: Any) -> Any:
    """The register with one hostile name in either language, of an agency, a service and the government."""
    name = request.param.replace('"', '""')
    quoted = f'"{name}"'
    yaml = "'" + request.param.replace("'", "''") + "'"
    return load_register(
        write_register(
            tmp_path / "register",
            agencies_csv=("Tax Office,سازمان امور مالیاتی", f"{quoted},{quoted}"),
            services_csv=("Title deed,سند مالکیت", f"{quoted},{quoted}"),
            policy_yaml=("name_en: Country, name_fa: کشور", f"name_en: {yaml}, name_fa: {yaml}"),
        )
    )


async def test_a_hostile_name_harms_nothing(empty_api: Any, make_console: Any) -> None:  # a fixture
    """Every page is whole, runs nothing of the name, and isolates its direction."""
    empty_api.take_register()
    empty_api.take_blocks()
    console = await make_console()
    for path in (*NAMED_PAGES, "/search?q=%3Cscript%3E%22%27%E2%80%AE"):
        for code in ("en", "fa"):
            answer = await console.get(f"/{code}{path}")
            assert answer.status_code == 200, path
            page = _Elements()
            page.feed(answer.text)
            assert [one.partition("console.")[0] for one in page.scripts] == ["/static/"], path
            assert page.handlers == [], path
            assert all(one.startswith("/badge/") for one in page.images), path
            assert ">49<" not in answer.text
    for path in ("/data/agencies.csv", "/data/agencies.json", "/feeds/en.atom", "/feeds/fa.json", "/feeds/en.ics"):
        assert (await console.get(path)).status_code == 200
    assert "\n=HYPERLINK" not in (await console.get("/data/agencies.csv")).text
    assert ",=HYPERLINK" not in (await console.get("/data/agencies.csv")).text
