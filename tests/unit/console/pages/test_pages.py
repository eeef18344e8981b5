"""Every page of the console, complete in both languages."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from services.api.model import RegisterView
from services.client import ApiUnavailableError, Client
from services.console.pages import PAGES, Page
from services.console.texts import LANGUAGES
from tests.support.cases.api.blocks import blocks_of
from tests.support.console.case import NAMED_PAGES, Console
from tests.support.console.messages import messages
from tests.support.console.words import TAGS, text_of
from tests.support.paths import ROOT

_WORDS = re.compile(r"[A-Za-z]{3}")


def _text(page: str) -> str:
    attributes = re.findall(r'(?:aria-label|alt|placeholder|title)="([^"]*)"', page)
    return " ".join([TAGS.sub("\n", page), *attributes])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_page_is_visited(page: Page) -> None:
    """Tests of languages, audiences and accessibility take their pages from NAMED_PAGES. A page that is not there has none."""
    address = re.compile(re.sub(r"\{[^}]*\}", "[^/]+", page.path))
    assert any(address.fullmatch(path.split("?")[0]) for path in NAMED_PAGES)


async def test_readers_are_told_of_every_page_in_the_menu(console: Console) -> None:
    """docs/console.md has a row for each."""
    menu = re.search(r'<nav class="menu".*?</nav>', (await console.get("/en/")).text, re.DOTALL)
    assert menu is not None
    told = re.findall(r"^\| ([A-Z][^|]*) \|", (ROOT / "docs" / "console.md").read_text("utf-8"), re.MULTILINE)
    assert [name for name in re.findall(r">([^<>]+)</a>", menu[0]) if name not in told] == []


@pytest.mark.parametrize("path", NAMED_PAGES)
@pytest.mark.parametrize("code", LANGUAGES)
async def test_every_page_is_there_in_both_languages(console: Console, code: str, path: str) -> None:
    """Each page states its language and direction, has one heading, and links to itself in the other language."""
    answer = await console.get(f"/{code}{path}")
    assert answer.status_code == 200, answer.text
    language = LANGUAGES[code]
    assert f'<html lang="{code}" dir="{language.direction}">' in answer.text
    assert answer.text.count("<h1") == 1
    other = next(one for one in LANGUAGES if one != code)
    assert f'href="/language/{other}{path}"' in answer.text


@pytest.mark.parametrize("path", NAMED_PAGES)
async def test_a_persian_page_has_no_english_sentence(console: Console, path: str) -> None:
    """No message of the catalogue is left in English."""
    text = _text((await console.get(f"/fa{path}")).text)
    english = {part for one in messages() for part in ((one,) if isinstance(one, str) else one)}
    lines = {line.strip() for line in text.splitlines()}
    assert {one for one in english if _WORDS.search(one) and "{" not in one} & lines == set()


@pytest.mark.parametrize("path", NAMED_PAGES)
@pytest.mark.parametrize("code", LANGUAGES)
async def test_sentences_have_a_space_between_them(console: Console, code: str, path: str) -> None:
    """No sentence begins right after the full stop of another."""
    page = re.sub(r"</?(?:data|bdi|time|span|strong|a)\b[^>]*>", "", (await console.get(f"/{code}{path}")).text)
    assert re.findall(r".{20}[a-z٪ا-ی][.؟?][A-Zآ-ی].{20}", page) == []


async def test_the_start_goes_by_the_browser_and_then_by_the_choice(console: Console) -> None:
    """`/` leads to the language that the browser prefers, unless another one was chosen before."""
    for asked, code in (
        ("fa-IR,fa;q=0.9,en;q=0.8", "fa"),
        ("de, en;q=0.1, fa;q=0.9", "fa"),
        ("de, en; q=0.1, fa ; q=0.9", "fa"),
        ("de", "en"),
        ("x;q=y", "en"),
    ):
        assert (await console.get("/", accept_language=asked)).headers["location"] == f"/{code}/"
    chosen = await console.get("/language/fa/agencies?side=consumer&window=28")
    assert chosen.headers["location"] == "/fa/agencies?side=consumer&window=28"
    assert "language=fa" in chosen.headers["set-cookie"]
    assert (await console.get("/", accept_language="en", cookie="language=fa")).headers["location"] == "/fa/"


async def test_a_switch_keeps_page_filter_and_window(console: Console) -> None:
    """Links to the other language and to other windows keep the page and its filter."""
    page = (await console.get("/en/agencies?side=consumer&sector=justice&window=28")).text
    assert "/language/fa/agencies?side=consumer&amp;sector=justice&amp;window=28" in page
    assert "/en/agencies?side=consumer&amp;sector=justice&amp;window=90" in page
    assert "Tax Office" not in page
    assert "Land Registry" in page


async def test_search_finds_names_as_the_register_folds_them(console: Console) -> None:
    """Arabic letters make no difference, and a search without results says so."""
    assert "سازمان امور مالیاتی" in (await console.get("/fa/search?q=مالياتي")).text
    for word in ("zzzz", "-", "---", "-%20-", "\N{ZERO WIDTH NON-JOINER}"):
        page = await console.get(f"/en/search?q={word}")
        assert (page.status_code, "Nothing has" in page.text) == (200, True), word


async def test_a_sector_that_is_found_is_named_and_leads_to_its_agencies(console: Console) -> None:
    """A page shows the name of a sector, not its id in the register."""
    page = (await console.get("/en/search?q=econom")).text
    assert '<a href="/en/agencies?sector=economy" dir="auto">Economy and finance</a>' in page


async def test_the_monitor_page_shows_vantages_and_streams(make_console, api) -> None:
    """Everybody sees vantages and streams, but reasons are not for the public. Without a report the page says so."""
    public = await make_console(audience="public")
    text = await text_of(public, "/en/monitor")
    assert "north 99.0% 570 576 16 " in text
    assert "cut off" not in text
    console = await make_console()
    text = await text_of(console, "/en/monitor")
    assert "north 99.0% 570 576 the vantage itself was cut off: 16" in text
    assert "MEASUREMENTS 4,000 3.1 MB 1.1 GB 3 2 1" in text
    assert "KV_indicator 90 0.0 MB" in text
    government = blocks_of(api.register)["government"]
    api.take("government", replace(government, monitoring=None))
    await console.refresh()
    text = await text_of(await make_console(), "/en/monitor")
    assert "has not reported yet" in text
    assert "MEASUREMENTS" not in text


async def test_a_register_whose_publication_is_not_known_has_no_date(console: Console, api: Any) -> None:
    """If the api does not know when the register was published, no page and no feed says that it was in 1970."""
    api.state.model.replace_register(RegisterView(replace(api.register, announcements=())))
    await console.refresh()
    for path in ("/en/monitor", "/feeds/en.atom", "/feeds/en.ics"):
        page = await console.get(path)
        assert (page.status_code, "1970" in page.text) == (200, False), path


async def test_the_monitor_page_tells_no_report_from_no_answer(console: Console, monkeypatch: Any) -> None:
    """If the api cannot be read, the page fails. It does not appear without vantages as if there were no report."""

    async def silent(_: Client) -> None:
        raise ApiUnavailableError("the api does not answer")

    monkeypatch.setattr(Client, "monitoring", silent)
    assert (await console.get("/en/monitor")).status_code == 503
