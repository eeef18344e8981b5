"""Every page in a real browser: checked by axe, used by keyboard, without script, on paper and at any width."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.async_api import Browser, Page

from services.console.texts import LANGUAGES
from services.core.model import Review
from services.register.directory import load_register
from tests.support.cases.api.blocks import blocks_of
from tests.support.cases.api.server import Api
from tests.support.console.browser import serving
from tests.support.console.case import NAMED_PAGES, Console
from tests.support.registers import write_register
from tests.support.values.findings import SINCE, finding

_RULES = {
    "runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]},
    "rules": {
        "landmark-unique": {"enabled": True}
    },  # else readers who do not see the page cannot tell two landmarks apart
    "resultTypes": ["violations"],  # describing node by node what passes takes longer than the rules
}
# The theme changes colours alone.
_CONTRAST = {**_RULES, "rules": {}, "runOnly": ["color-contrast", "link-in-text-block"]}
_THEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
_AT_400_PER_CENT = 256
_SIZES = ((320, _AT_400_PER_CENT), (320, 800), (1280, 800))
_MOST_PRESSES = 8


async def _no_sideways(page: Page) -> bool:
    return bool(await page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"))


@pytest.mark.slow
@pytest.mark.parametrize("code", LANGUAGES)
async def test_axe_finds_nothing(console: Console, browser: Browser, code: str) -> None:
    """No page violates WCAG 2.2 AA or has two landmarks of one name, in light and dark, at 320 and 1280 pixels. Nothing scrolls sideways, not even at
    400 per cent, which makes 320 by 256 pixels of 1280 by 1024. Every request of a page goes to the console.
    """
    found = []
    api = console.api
    findings = (finding(), finding(since=SINCE - 86_400, ended_at=SINCE, review=Review.DISMISSED, note="a move"))
    api.take("government", replace(blocks_of(api.register)["government"], findings=findings))
    async with serving(console) as base:
        page = await browser.new_page()
        errors: list[str] = []
        asked: list[str] = []
        page.on("console", lambda message: errors.append(message.text))
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        for path in NAMED_PAGES:
            asked.clear()
            await page.goto(f"{base}/{code}{path}")
            assert asked, path
            assert [url for url in asked if not url.startswith(base)] == [], path
            await page.evaluate(AXE_SCRIPT)
            for width, height in _SIZES:
                await page.set_viewport_size({"width": width, "height": height})
                assert await _no_sideways(page), f"{path} at {width} by {height}"
                if height == _AT_400_PER_CENT:
                    continue
                for theme in _THEMES:
                    await page.emulate_media(color_scheme=theme)
                    result = await page.evaluate("rules => axe.run(rules)", _RULES if theme == "light" else _CONTRAST)
                    found += [
                        f"{path} {width} {theme}: {one['id']} {node['target']} {node['failureSummary']}"
                        for one in result["violations"]
                        for node in one["nodes"][:2]
                    ]
        assert errors == []
    assert found == []


@pytest.mark.parametrize("code", LANGUAGES)
async def test_long_names_do_not_widen_a_page(
    api: Api, make_console: Any, browser: Browser, tmp_path: Path, code: str
) -> None:
    """Names without a space, as catalogues of services have them, are broken where a phone has no room for them."""
    register = write_register(
        tmp_path / "named",
        agencies_csv=("Tax Office,سازمان امور مالیاتی", f"{'Tax_Office' * 6},{'سازمان_امور_مالیاتی' * 6}"),
        services_csv=("Title deed,سند مالکیت", f"{'Title_deed' * 6},{'سند_مالکیت' * 6}"),
        policy_yaml=("name_en: Country, name_fa: کشور", f"name_en: {'Country' * 9}, name_fa: {'کشور_' * 12}"),
    )
    api.take_register(load_register(register))
    wide = []
    async with serving(await make_console()) as base:
        page = await browser.new_page(viewport={"width": 320, "height": 800})
        for path in NAMED_PAGES:
            await page.goto(f"{base}/{code}{path}")
            wide += [] if await _no_sideways(page) else [path]
    assert wide == []


async def test_from_the_headline_to_the_evidence_by_keyboard(console: Console, browser: Browser) -> None:
    """At most 8 presses lead from the overview to the evidence of one link, and every focus can be seen."""
    async with serving(console) as base:
        page = await browser.new_page()
        await page.goto(f"{base}/en/")
        presses = 0

        async def press(key: str) -> None:
            nonlocal presses
            presses += 1
            await page.keyboard.press(key)

        await press("Tab")
        assert await page.evaluate("document.activeElement.className") == "skip"
        await press("Enter")
        while "/link/" not in await page.evaluate("document.activeElement.getAttribute('href') || ''"):
            await press("Tab")
            assert presses < _MOST_PRESSES, await page.evaluate("document.activeElement.outerHTML")
            outline = await page.evaluate("getComputedStyle(document.activeElement).outlineWidth")
            assert outline == "3px"
        async with page.expect_navigation():
            await press("Enter")
        assert "/en/link/" in page.url
        assert presses <= _MOST_PRESSES


async def test_a_strip_is_one_stop_and_names_each_piece(console: Console, browser: Browser) -> None:
    """Home and End move along a strip, and the chosen piece is announced to readers who do not see it."""
    async with serving(console) as base:
        page = await browser.new_page()
        await page.goto(f"{base}/en/link/transfer-customs")
        strip = page.locator("[data-strip]").first
        await strip.focus()
        assert await strip.get_attribute("role") == "slider"
        last = await strip.get_attribute("aria-valuetext")
        assert last
        assert "Not connected" in last
        await page.keyboard.press("Home")
        assert await strip.get_attribute("aria-valuenow") == "1"
        await page.keyboard.press("End")
        assert await strip.get_attribute("aria-valuetext") == last
        assert await strip.locator("[data-said]").inner_text() == last


@pytest.mark.parametrize("code", LANGUAGES)
async def test_without_script_everything_is_there(console: Console, browser: Browser, code: str) -> None:
    """Without script every page has its heading, and forms and disclosures work."""
    async with serving(console) as base:
        context = await browser.new_context(java_script_enabled=False)
        page = await context.new_page()
        for path in NAMED_PAGES:
            await page.goto(f"{base}/{code}{path}")
            assert await page.locator("h1").count() == 1
        await page.goto(f"{base}/{code}/")
        await page.locator("figure summary").first.click()
        assert await page.locator("figure details table").first.is_visible()
        await page.locator("#q").fill("customs")
        await page.locator(".search button").click()
        assert page.url.endswith(f"/{code}/search?q=customs")
        assert await page.locator(".results a").first.is_visible()
        await context.close()


async def test_a_page_renews_itself_without_losing_the_place(console: Console, browser: Browser) -> None:
    """When the figures change, a page in view shows them, and open and focused elements stay so."""
    async with serving(console) as base:
        page = await browser.new_page()
        # Here a minute of the page takes half a second.
        await page.add_init_script("const real = setInterval; window.setInterval = (run, ms) => real(run, ms / 120);")
        await page.goto(f"{base}/en/")
        await page.evaluate("document.body.dataset.mark = 'same document'")
        before = await page.locator("[data-part=answer]").inner_text()
        summary = page.locator("[data-part=waterfall] summary")
        await summary.click()
        await summary.focus()
        console.api.take_blocks(ok={"deed-tax": 0, "deed-civil": 0}, sequence=8)
        await console.refresh()
        answer = page.locator("[data-part=answer]")
        await page.wait_for_function(
            "before => document.querySelector('[data-part=answer]').innerText !== before", arg=before, timeout=120_000
        )
        assert await answer.inner_text() != before
        assert await page.locator("[data-part=waterfall] details").first.get_attribute("open") is not None
        assert await page.evaluate("document.activeElement.tagName") == "SUMMARY"
        assert await page.evaluate("document.body.dataset.mark") == "same document"


_SHOWN = "document.querySelector('main').textContent + document.querySelector('footer').textContent"
_SENT = """fetch(location.href).then((answer) => answer.text()).then((text) => {
  const sent = new DOMParser().parseFromString(text, "text/html");
  return sent.querySelector("main").textContent + sent.querySelector("footer").textContent;
})"""


@pytest.mark.parametrize("path", ["/", "/agency/land-registry", "/structure", "/matrix/land-registry/tax-office"])
async def test_a_renewed_page_is_the_page_that_is_sent(console: Console, browser: Browser, path: str) -> None:
    """A page that renews itself says in every part what a reader gets who loads it then, whether that has changed or not."""
    async with serving(console) as base:
        page = await browser.new_page()
        # Here a minute of the page takes half a second.
        await page.add_init_script("const real = setInterval; window.setInterval = (run, ms) => real(run, ms / 120);")
        await page.goto(f"{base}/en{path}")
        async with page.expect_response(lambda answer: answer.status == 304):  # after it was renewed once
            pass
        assert await page.evaluate(_SHOWN) == await page.evaluate(_SENT)
        console.api.take_blocks(ok={"deed-tax": 0, "deed-civil": 0}, sequence=8)
        await console.refresh()
        same = f"async () => {_SHOWN} === await {_SENT}"
        await page.wait_for_function(same, polling=200, timeout=120_000)


@pytest.mark.parametrize("code", LANGUAGES)
async def test_a_printed_page_has_the_figures_and_no_menu(console: Console, browser: Browser, code: str) -> None:
    """A printed page has numbers and charts, but no menu and no search."""
    async with serving(console) as base:
        page = await browser.new_page()
        await page.goto(f"{base}/{code}/")
        await page.emulate_media(media="print")
        assert not await page.locator(".menu").is_visible()
        assert not await page.locator(".search").is_visible()
        assert await page.locator("[data-part=answer]").is_visible()
        assert await page.locator("svg.chart").first.is_visible()
        assert (await page.pdf()).startswith(b"%PDF")


async def test_nothing_moves_for_who_wants_no_motion(console: Console, browser: Browser) -> None:
    """Nothing is animated, not even scrolling, for a reader who prefers reduced motion."""
    async with serving(console) as base:
        context = await browser.new_context(reduced_motion="reduce")
        page = await context.new_page()
        await page.goto(f"{base}/en/")
        assert await page.evaluate("getComputedStyle(document.documentElement).scrollBehavior") == "auto"
        assert await page.evaluate("document.getAnimations().length") == 0
        await context.close()
