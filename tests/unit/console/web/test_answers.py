"""Caching, compression, headers and errors."""

from __future__ import annotations

import asyncio
import re
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import services.console
from services.client import Client
from services.console.web import answers, frame
from services.console.web.cache import KeptPage, PageCache
from services.console.web.frame import PARAMETERS
from services.core.errors import ApiError
from tests.support.cases.api.blocks import AS_OF
from tests.support.console.case import NAMED_PAGES, Console

_POLICY = "default-src 'none'; script-src 'self'; style-src 'self'"


async def test_an_unchanged_page_is_not_sent_again(console: Console) -> None:
    """A page has a tag, and a reader who has it gets no body. Another page, language or window has another tag."""
    first = await console.get("/en/")
    tag = first.headers["etag"]
    again = await console.get("/en/", if_none_match=tag)
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    assert tag.startswith('W/"7-')
    tags = {(await console.get(path)).headers["etag"] for path in ("/en/", "/fa/", "/en/?window=28", "/en/agencies")}
    assert len(tags) == 4


async def test_new_evidence_makes_a_new_edition(console: Console) -> None:
    """The same address has another tag and other numbers once the figures have changed."""
    first = await console.get("/en/")
    console.api.take_blocks(ok={"deed-tax": 10}, sequence=8, as_of=AS_OF + 300)
    await console.refresh()
    second = await console.get("/en/", if_none_match=first.headers["etag"])
    assert second.status_code == 200
    assert second.text != first.text


async def test_a_page_is_made_once(console: Console) -> None:
    """A page is made once, however many readers ask for it, until the figures change."""
    pages = await asyncio.gather(*(console.get("/en/structure") for _ in range(20)))
    assert {page.status_code for page in pages} == {200}
    assert console.api.counted("GetStructure", "OK") == 1


async def test_what_no_page_asks_for_makes_no_page_of_its_own(console: Console) -> None:
    """Unknown parameters are left out of the address, so that nobody fills the memory with them."""
    tag = (await console.get("/en/structure")).headers["etag"]
    for query in ("x=1", f"{'k' * 5000}=1", "y=2&x=1"):
        assert (await console.get(f"/en/structure?{query}")).headers["etag"] == tag
    assert console.api.counted("GetStructure", "OK") == 1
    assert "utm" not in (await console.get("/en/structure?utm=1&window=28")).text


def test_every_parameter_that_a_page_reads_is_known() -> None:
    """Every parameter that pages and templates read from an address, or write into it, is in the list of parameters."""
    console_files = Path(services.console.__file__).parent
    text = "".join(path.read_text() for path in sorted(console_files.rglob("*.py")))
    read = re.findall(r'(?:query\.get|\.chosen)\("(\w+)"', text)
    pages = "".join(path.read_text() for path in sorted((console_files / "templates").glob("*.html")))
    taken = re.findall(r"query\.get\('(\w+)'", pages)
    forms = re.findall(r'<(?:input|select)[^>]* name="(\w+)"', pages)
    links = re.findall(r"frame\.(?:link|here)\([^)]*?(\w+)=", pages)
    chosen = re.findall(r'choices\(t\("[^"]*"\), "(\w+)"', pages)
    assert {*read, *taken, *forms, *links, *chosen} - {"token"} == PARAMETERS


def test_a_long_address_is_not_kept() -> None:
    """Only short addresses of pages are cached. A long one is written again each time."""
    before = frame._kept_address.cache_info().currsize
    long = frame._address("/en/search", (("q", "x" * 400),))
    assert long == f"/en/search?q={'x' * 400}"
    assert frame._kept_address.cache_info().currsize == before


async def test_two_consoles_show_the_same(console: Console, make_console: Any) -> None:
    """A tag of one console is valid at the other."""
    other = await make_console()
    tag = (await console.get("/fa/")).headers["etag"]
    assert (await other.get("/fa/", if_none_match=tag)).status_code == 304


@pytest.mark.parametrize("path", ["/en/", "/fa/news", "/nowhere", "/", "/static/console.css", "/data/agencies.csv"])
async def test_headers_let_nothing_foreign_in(console: Console, path: str) -> None:
    """Nothing is loaded from elsewhere, run inline, framed or guessed."""
    headers = (await console.get(path)).headers
    assert headers["content-security-policy"].startswith(_POLICY)
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
    assert "strict-transport-security" not in headers


async def test_under_tls_browsers_are_told_to_keep_to_it(make_console: Any, api: Any) -> None:
    """A console with an https address sends Strict-Transport-Security."""
    assert api
    encrypted = await make_console(base="https://console.test")
    assert (await encrypted.get("/en/")).headers["strict-transport-security"] == "max-age=31536000"


async def test_nothing_is_inline(console: Console) -> None:
    """No page has an inline style, script or handler, which the policy would refuse."""
    for path in NAMED_PAGES:
        page = (await console.get(f"/en{path}")).text
        assert "<style" not in page
        assert " style=" not in page
        assert " onclick=" not in page
        assert page.count("<script") == 1


@pytest.mark.parametrize(
    "path", ["/nowhere", "/en/nowhere", "/en/agency/nobody", "/en/link/nothing", "/en/service/x", "/static/x"]
)
async def test_an_unknown_address_gets_a_page_that_helps(console: Console, path: str) -> None:
    """The page says what is wrong, and has the search and the menu."""
    answer = await console.get(path, accept_language="en")
    assert answer.status_code == 404
    assert "There is no such page" in answer.text
    assert 'role="search"' in answer.text
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("window", ["\N{SUPERSCRIPT TWO}", "\N{EXTENDED ARABIC-INDIC DIGIT SEVEN}", "9" * 499, "-7"])
async def test_a_window_that_is_no_number_is_the_first(console: Console, window: str) -> None:
    """A window that only looks like a number chooses none, also on the page about an unknown address."""
    assert (await console.get(f"/en/method?window={window}")).status_code == 200
    missing = await console.get(f"/en/nowhere?window={window}")
    assert (missing.status_code, "There is no such page" in missing.text) == (404, True)


@pytest.mark.parametrize("path", ["/en/method", "/en/nowhere", "/language/en/method"])
async def test_an_address_that_is_no_text_is_refused(console: Console, path: str) -> None:
    """Bytes in a query that are not UTF-8 are answered with status 400, and the answer itself does not fail."""
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"\xff",
        "headers": [(b"host", b"console.test")],
        "server": ("console.test", 80),
        "client": ("192.0.2.1", 5),
        "root_path": "",
    }
    with suppress(UnicodeDecodeError):  # which the server logs
        await console.app(scope, receive, send)
    assert [message.get("status") for message in sent] == [400, None]


async def test_pages_are_only_read(console: Console) -> None:
    """A method that does not only read is refused with a page, and a header that names those that do."""
    answer = await console.client.post("/en/")
    assert (answer.status_code, "Pages here are only read" in answer.text) == (405, True)
    assert set(answer.headers["allow"].split(", ")) == {"GET", "HEAD"}


@pytest.mark.parametrize(
    ("path", "page"),
    [("/fa", "/fa/"), ("/en/agencies/?side=consumer", "/en/agencies?side=consumer"), ("/data/", "/data")],
)
async def test_a_slash_at_the_end_makes_no_difference(console: Console, path: str, page: str) -> None:
    """An address with a slash too few or too many leads to the page on the same site, whatever host a proxy asks for."""
    answer = await console.get(path, host="127.0.0.1:7411")
    assert (answer.status_code, answer.headers["location"]) == (307, page)
    assert answer.headers["content-security-policy"].startswith(_POLICY)


async def test_before_the_first_index_a_page_says_so(empty_api: Any, make_console: Any) -> None:
    """The page says that the figures are still to come. The console serves by itself once they come, and not before."""
    assert empty_api
    console = await make_console()
    answer = await console.get("/en/")
    assert answer.status_code == 503
    assert "The first figures are not there yet" in answer.text
    assert (await console.get("/healthz")).status_code == 503
    empty_api.take_register()
    empty_api.take_blocks()
    await console.refresh()
    assert (await console.get("/en/")).status_code == 200
    assert (await console.get("/healthz")).text == "SERVING\n"


async def test_while_the_api_is_away_the_last_page_says_its_age(console: Console) -> None:
    """The last page is shown with its age for five minutes. A page that nobody has seen is not available."""
    await console.get("/fa/")
    console.feed._lost_since = console.clock[0]
    console.clock[0] += 200
    aged = await console.get("/fa/")
    assert aged.status_code == 200
    assert "۳</data> دقیقه پیش" in aged.text
    assert "etag" not in aged.headers
    assert (await console.get("/en/agencies")).status_code == 503
    console.clock[0] += 100
    gone = await console.get("/fa/")
    assert gone.status_code == 503
    assert "ارقام در حال حاضر در دسترس نیست" in gone.text
    assert gone.headers["retry-after"] == "5"
    assert console.registry.get_sample_value("peyvand_console_aged_total") == 1


async def test_a_slow_api_costs_a_sentence(console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page that cannot be gathered in time says so, or is shown as it last was."""

    async def never(*_: Any, **__: Any) -> None:
        await asyncio.Event().wait()

    assert (await console.get("/en/structure")).status_code == 200
    monkeypatch.setattr(Client, "structure", never)
    monkeypatch.setattr(answers, "GATHER_SECONDS", 0.01)
    assert "These figures are" not in (await console.get("/en/structure")).text  # it is still of this edition
    assert (await console.get("/en/structure?window=28")).status_code == 503
    assert console.feed.edition is not None
    console.feed.edition = replace(console.feed.edition, evidence_sequence=9)
    assert "These figures are" in (await console.get("/en/structure")).text


async def test_a_question_that_the_api_refuses_is_a_fault(console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    """A refusal by the api is our own fault and is logged. Only an api that does not answer is reported as such."""

    async def refused(*_: Any, **__: Any) -> None:
        raise ApiError("api at there: the request is unreadable")

    monkeypatch.setattr(Client, "structure", refused)
    page = await console.get("/en/structure")
    assert (page.status_code, "Something went wrong here" in page.text) == (500, True)


def test_the_cache_drops_what_was_asked_for_longest_ago() -> None:
    """The cache holds no more bytes than its limit, and drops the page that was not used for longest."""
    cache = PageCache(max_bytes=250)
    for key in ("a", "b"):
        cache.keep(key, KeptPage("", "", b"x" * 60, b"y" * 40, 0.0))
    assert cache.find("a")
    cache.keep("c", KeptPage("", "", b"x" * 60, b"y" * 40, 0.0))
    assert [bool(cache.find(key)) for key in "abc"] == [True, False, True]


def test_the_cache_counts_the_addresses_of_its_pages() -> None:
    """A page under a long address takes more of the cache, by the length of the address."""
    cache = PageCache(max_bytes=250)
    for key in ("a" * 100, "b" * 100):
        cache.keep(key, KeptPage("", "", b"x" * 30, b"y" * 20, 0.0))
    assert [bool(cache.find(key * 100)) for key in "ab"] == [False, True]
