"""News, the rounds of official evaluations, and announcements."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from services.register.directory.load import load_register
from tests.support.console.case import Console
from tests.support.console.words import text_of
from tests.support.registers import ANNOUNCEMENTS, KNOWN_ROUNDS, write_register


async def test_a_round_is_quoted_and_not_filled_in(console: Console) -> None:
    """Figures that a round does not state are shown as not stated."""
    page = (await console.get("/en/rounds")).text
    assert page.count("not stated") >= 4
    assert "Nobody We Know" in page
    assert "In the order announced, which is no ranking." in page


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (
            "en",
            (
                "more than ",
                "Transparent government",
                "Agencies named at the bottom",
                "[1] <bdi><bdi>iribnews.ir, news 5673814",
            ),
        ),
        ("fa", ("بیش از ", "دولت شفاف", "ضعیف‌ترین", "[۱] <bdi><bdi>iribnews.ir, news 5673814")),
    ],
)
async def test_each_round_has_the_dimensions_of_its_model_and_its_sources(
    api: Any, make_console: Any, tmp_path: Path, code: str, expected: tuple[str, ...]
) -> None:
    """The newest round lists the four axes of its own model without scores, and figures refer to their sources."""
    api.take_register(load_register(write_register(tmp_path / "known", evaluation_rounds_yaml=KNOWN_ROUNDS)))
    console = await make_console()
    page = (await console.get(f"/{code}/rounds")).text
    for words in expected:
        assert words in page, words
    newest = page[page.index('id="round-12"') : page.index('id="round-6"')]
    assert newest.count('<th scope="row">') == 4
    assert '<data value="107' in newest
    assert "Integration of services" not in newest
    assert '<sup class="soft">' in newest
    assert {"en": ">50.19%<", "fa": ">۵۰٫۱۹٪<"}[code] in page  # as announced, to the last digit


async def test_news_are_sorted_and_written_from_markdown(console: Console) -> None:
    """Announcements in force come first. The updates of each follow, the newest first."""
    page = (await console.get("/en/news")).text
    assert page.index("Late answers") < page.index("The data bus is upgraded")
    assert "<em>late</em>" in page
    assert page.index("Done.") < page.index("Half is done.")
    persian = (await console.get("/fa/news")).text
    assert "ارتقای گذرگاه داده" in persian


async def test_news_name_inquiries_as_people_do(api: Any, make_console: Any, tmp_path: Path) -> None:
    """News name an affected inquiry by its service and agencies, with its id as a detail."""
    work = "subject,from,to,note\ndeed-civil,2026-09-21T10:00:00Z,2099-01-01T00:00:00Z,moves\n"
    api.take_register(
        load_register(write_register(tmp_path / "works", announcements_yaml=ANNOUNCEMENTS, maintenance_csv=work))
    )
    console = await make_console()
    english = await text_of(console, "/en/news")
    assert "Inquiries affected: Title deed Land Registry asks Tax Office · Tax clearance · deed-tax" in english
    assert "Title deed Land Registry asks Civil Registry · Civil status · deed-civil 21 September 2026" in english
    persian = await text_of(console, "/fa/news")
    assert "سند مالکیت سازمان ثبت اسناد از سازمان امور مالیاتی استعلام می‌گیرد" in persian
    public = await make_console(audience="public")
    assert "Inquiries affected" not in await text_of(public, "/en/news")
    assert "SUMMARY:Title deed\r\n" in (await console.get("/feeds/en.ics")).text


async def test_the_overview_lists_announcements_in_force(console: Console) -> None:
    """Announcements in force are on the first page in its language; ended ones are not."""
    english, persian = await text_of(console, "/en/"), await text_of(console, "/fa/")
    assert "Announcements in force Incident Late answers" in english
    assert "اطلاعیه‌های جاری اختلال پاسخ‌های دیر" in persian
    assert "The data bus is upgraded" not in english
    assert "/en/news#late-answers" in (await console.get("/en/")).text
