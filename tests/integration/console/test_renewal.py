"""A page that stays open in a real browser: what it shows while the console or its api is gone."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.async_api import Browser, Page, Route

from services.core.blocks.target_blocks import encode_slot_blocks
from services.core.bus import group_of, slot_key
from services.core.model import Outcome, Reason
from tests.support.cases.api.blocks import AS_OF, slot_block_of
from tests.support.console.browser import serving
from tests.support.console.case import Console

_HURRIED = "const real = setInterval; window.setInterval = (run, ms) => real(run, ms / 120);"
"""A minute of the page takes half a second."""

_PATIENCE = 120_000


async def _opened(browser: Browser, address: str) -> Page:
    page = await browser.new_page()
    await page.add_init_script(_HURRIED)
    await page.goto(address)
    return page


async def _shows(page: Page, text: str) -> None:
    await page.get_by_text(text).first.wait_for(timeout=_PATIENCE)


async def test_an_open_page_does_not_outlast_its_figures(console: Console, browser: Browser) -> None:
    """Five minutes after the api is gone an open page says what any other says, and it opens again with the figures."""
    async with serving(console) as base:
        page = await _opened(browser, f"{base}/en/")
        assert await page.locator("[data-part=answer]").count() == 1
        console.feed._lost_since = console.clock[0]
        console.clock[0] += 301
        await _shows(page, "The figures cannot be read at the moment")
        assert await page.locator("[data-part=answer]").count() == 0
        assert (await page.title()).startswith("Not available")
        await console.refresh()
        await _shows(page, "of 100")
        assert (await page.title()).startswith("Overview")


async def test_an_open_page_that_is_gone_says_so(console: Console, browser: Browser, monkeypatch: Any) -> None:
    """A page whose agency has left the register does not go on to show its figures."""
    async with serving(console) as base:
        page = await _opened(browser, f"{base}/en/agency/customs")
        assert console.feed.names is not None
        monkeypatch.delitem(console.feed.names.agencies, "customs")
        console.api.take_blocks(sequence=8)
        await console.refresh()
        await _shows(page, "There is no such page")


@pytest.mark.parametrize("proxied", [False, True])
async def test_an_open_page_says_that_it_cannot_be_renewed(
    console: Console, browser: Browser, *, proxied: bool
) -> None:
    """While the console does not answer, or a proxy answers in its place, an open page says so where its reader is."""

    async def away(route: Route) -> None:
        if proxied:
            await route.fulfill(status=502, content_type="text/html", body="<h1>Bad Gateway</h1>")
        else:
            await route.abort()

    async with serving(console) as base:
        page = await _opened(browser, f"{base}/fa/")
        await page.locator("footer a").first.focus()
        await page.route("**/fa/", away)
        note = page.locator("[data-unreached]")
        await note.locator(".notice").wait_for(timeout=_PATIENCE)
        assert await note.inner_text() == await note.get_attribute("data-unreached")
        assert (
            await note.evaluate("note => note.getBoundingClientRect().top") >= 0
        )  # although the reader is at the foot
        assert await page.locator("[data-part=answer]").count() == 1
        await page.unroute("**/fa/", away)
        await note.locator(".notice").wait_for(state="detached", timeout=_PATIENCE)


async def test_a_renewed_list_keeps_the_link_in_focus(console: Console, browser: Browser) -> None:
    """When agencies change places, Enter leads to the agency that had the focus before."""
    async with serving(console) as base:
        page = await _opened(browser, f"{base}/en/agencies")
        listed = "[...document.querySelectorAll('tbody th a')].map((link) => link.getAttribute('href'))"
        before = await page.evaluate(listed)
        await page.locator("tbody th a").first.focus()
        console.api.take_blocks(
            ok={link: 10 if link.endswith("-tax") else 99 for link in console.api.register.links}, sequence=8
        )
        await console.refresh()
        await page.wait_for_function(f"before => String({listed}) !== before", arg=",".join(before), timeout=_PATIENCE)
        assert (await page.evaluate(listed))[0] != before[0]
        assert await page.evaluate("document.activeElement.getAttribute('href')") == before[0]


async def test_a_renewed_strip_keeps_the_chosen_piece(console: Console, browser: Browser) -> None:
    """When newer slots come, a reader stays at the piece that they chose, and at the newest one if they chose none."""
    chunk = AS_OF // 300 // 64
    verdicts = {0: (Outcome.OK, Reason.OK), 1: (Outcome.LATE, Reason.LATE)}
    cells = {("deed-tax", slot, "north"): verdicts[slot // 3 % 2] for slot in range(chunk * 64, AS_OF // 300)}
    block = slot_block_of(console.api.register, "land-registry", chunk, cells)
    console.api.bucket.values[slot_key(group_of("land-registry"), chunk)] = encode_slot_blocks([block])[0]
    named = "document.querySelectorAll('[data-strip]')[{}].getAttribute('aria-valuetext')"
    chosen, newest = named.format(0), named.format(1)
    console.api.take_blocks(as_of=AS_OF - 300, sequence=6)
    await console.refresh()
    async with serving(console) as base:
        page = await _opened(browser, f"{base}/en/link/deed-tax")
        await page.locator("[data-strip]").first.focus()
        await page.keyboard.press("Home")
        await page.keyboard.press("ArrowRight")
        before, last = await page.evaluate(chosen), await page.evaluate(newest)
        console.api.take_blocks()
        await console.refresh()
        await page.wait_for_function(f"before => {newest} !== before", arg=last, timeout=_PATIENCE)
        assert await page.evaluate(chosen) == before
        assert await page.evaluate("document.activeElement.id") == "strip"
