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
