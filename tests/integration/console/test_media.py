"""Pages on paper, in the colours of the reader's own, and on telephones."""

from __future__ import annotations

import pytest
from playwright.async_api import Browser

from services.console.texts import LANGUAGES
from tests.support.console.browser import serving
from tests.support.console.case import Console


@pytest.mark.parametrize("code", LANGUAGES)
async def test_keys_and_hashes_tell_l_from_i(console: Console, browser: Browser, code: str) -> None:
    """What readers compare letter by letter is set in a font of equal widths in both languages."""
    async with serving(console) as base:
        page = await browser.new_page()
        await page.goto(f"{base}/{code}/monitor")
        fonts = "elements => elements.map(one => getComputedStyle(one).fontFamily)"
        used = await page.locator("main code").evaluate_all(fonts)
    assert used
    assert {font.split(",")[0] for font in used} == {"ui-monospace"}


@pytest.mark.parametrize("path", ["/", "/matrix", "/agencies", "/monitor", "/rounds"])
async def test_paper_cuts_nothing_off(console: Console, browser: Browser, path: str) -> None:
    """A printed table has all of its columns, and the chosen window is legible without backgrounds."""
    async with serving(console) as base:
        page = await browser.new_page(viewport={"width": 700, "height": 1000})  # A4 without its margins
        await page.goto(f"{base}/fa{path}")
        await page.emulate_media(media="print")
        hidden = "elements => elements.filter(one => getComputedStyle(one).overflowX !== 'visible').length"
        assert await page.locator(".scroll").evaluate_all(hidden) == 0
        colours = (
            "elements => elements.map(one => [getComputedStyle(one).color, getComputedStyle(one).backgroundColor])"
        )
        ink = await page.evaluate("getComputedStyle(document.body).color")
        for colour, background in await page.locator(".choices a[aria-current]").evaluate_all(colours):
            assert (colour, background) == (ink, "rgba(0, 0, 0, 0)")
        await page.close()


async def test_a_section_may_go_on_on_the_next_sheet(console: Console, browser: Browser) -> None:
    """The page of an agency prints its figures below its name, not on another sheet."""
    async with serving(console) as base:
        page = await browser.new_page()
        await page.goto(f"{base}/en/agency/land")
        await page.emulate_media(media="print")
        inside = "elements => elements.map(one => getComputedStyle(one).breakInside)"
        assert set(await page.locator("main section").evaluate_all(inside)) == {"auto"}


async def test_colours_of_the_reader_leave_what_is_chosen_visible(console: Console, browser: Browser) -> None:
    """With forced colours the page shown, the chosen window and the shades of the matrix still differ from the others."""
    async with serving(console) as base:
        context = await browser.new_context(forced_colors="active")
        page = await context.new_page()
        await page.goto(f"{base}/en/matrix")
        for part, what in ((".menu a", "borderBlockEndColor"), (".choices a", "backgroundColor")):
            seen = f"elements => elements.map(one => getComputedStyle(one).{what})"
            chosen = await page.locator(f"{part}[aria-current]").evaluate_all(seen)
            others = await page.locator(f"{part}:not([aria-current])").evaluate_all(seen)
            assert chosen
            assert others
            assert set(chosen).isdisjoint(others), part
        shades = "elements => elements.map(one => getComputedStyle(one).backgroundColor)"
        assert len(set(await page.locator(".key .swatch.cell").evaluate_all(shades))) > 2
        await context.close()


async def test_a_telephone_shows_that_a_table_goes_on(console: Console, browser: Browser) -> None:
    """A table that is wider than the screen has a shadow at its edge, and its rows are not tall for what is out of sight."""
    async with serving(console) as base:
        page = await browser.new_page(viewport={"width": 390, "height": 844})
        await page.goto(f"{base}/fa/monitor")
        edge = "one => [one.scrollWidth > one.clientWidth, getComputedStyle(one).backgroundImage.includes('gradient')]"
        assert await page.locator(".scroll").nth(1).evaluate(edge) == [True, True]
        row = page.locator("[data-part=known] tbody tr").first
        assert await row.evaluate("one => one.clientHeight / parseFloat(getComputedStyle(one).lineHeight)") < 2
