"""The console over a whole system, in a real browser."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path

import pytest
from playwright.async_api import Browser

from services.register.bus import publish_register
from services.register.directory import load_register
from services.sandbox.faults.faults import FaultMode, FaultScope
from tests.support.cases.sandbox_register import cut, read_rows
from tests.support.components import started
from tests.support.console.browser import running_browser
from tests.support.ports import free_base_port, free_port
from tests.support.processes import page as fetch
from tests.support.servers.commanded_sandbox import command
from tests.support.waiting import DEADLINE

SLOT = 10
LINKS = 40


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    """A browser of the test's own."""
    async with running_browser() as one:
        yield one


@pytest.mark.slow
async def test_a_page_in_view_tells_of_a_broken_link(nats, tmp_path: Path, browser: Browser) -> None:
    """Readers in both languages, on a phone and at a desk, see without a reload that a link has failed, and why. They
    see it within two slots of the evidence.
    """
    faults = tmp_path / "faults.json"
    settings = ("--slot", SLOT, "--base-port", free_base_port(), "--faults", 0, "--traffic", 0)
    with started(nats, tmp_path) as components:
        components.start("sandbox", *settings, module="tests.support.servers.commanded_sandbox", args=(str(faults),))
        register = tmp_path / "sandbox" / "register"
        await components.until(lambda: "sandbox serving" in components.logs(), "the sandbox served")
        few = register.with_name("few")
        register.rename(few)
        links = [row for row in read_rows(few / "links.csv") if row["live_from"]][:LINKS]
        cut(few, {row["id"] for row in links}, latency_ms=2000, timeout_ms=4000)
        on_bus = {row["link"] for row in read_rows(few / "exchange.csv")}
        broken = next(row["id"] for row in links if row["id"] not in on_bus)
        async with nats.connect("register") as bus:
            await publish_register(bus, load_register(few), now=time.time())
        api, where = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
        components.start("prober", "--prober", "one")
        components.start("scorer")
        components.start("api", "--listen", api)
        components.start("console", "--console", where, "--api", api)
        await components.until(lambda: fetch(where, f"/en/link/{broken}")[0] == 200, "the page was there")

        views = []
        for code, width, theme in (("en", 1280, "light"), ("fa", 390, "dark")):
            context = await browser.new_context(viewport={"width": width, "height": 900}, color_scheme=theme)  # type: ignore[arg-type]  # either of its literals
            view = await context.new_page()
            await view.goto(f"http://{where}/{code}/link/{broken}")
            await view.evaluate("document.body.dataset.mark = 'same document'")
            views.append((code, view))
        assert await views[0][1].locator(".strip .slot.not_connected").count() == 0
        command(faults, [(FaultScope.LINK, broken, FaultMode.REFUSED)])
        for code, view in views:
            failing = view.locator(".strip .slot.not_connected").first
            await failing.wait_for(state="attached", timeout=DEADLINE * 1000)
            assert await view.evaluate("document.body.dataset.mark") == "same document"
            text = await view.locator("main").inner_text()
            assert ("the connection was refused" if code == "en" else "اتصال پذیرفته نشد") in text
            moments = "one => one.getAttribute('datetime')"
            as_of = await view.locator("[data-part=versions] time").evaluate(moments)
            failed = await view.locator(
                "[data-part=slots] tbody tr:has-text('%s') time" % ("Not connected" if code == "en" else "متصل نشد")
            ).first.evaluate(moments)
            late = datetime.fromisoformat(as_of) - datetime.fromisoformat(failed)
            assert late.total_seconds() <= 2 * SLOT
        components.kill("api")
        await components.until(lambda: "notice" in fetch(where, f"/en/link/{broken}")[1], "the page said its age")
