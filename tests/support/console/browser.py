"""Debian's headless Chromium, driven by playwright. Not a test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn
from playwright.async_api import Browser, async_playwright

from services.console.component import Server
from tests.support.console.case import Console
from tests.support.ports import free_port
from tests.support.programs import program
from tests.support.waiting import eventually

__all__ = ["running_browser", "serving"]


@asynccontextmanager
async def running_browser() -> AsyncIterator[Browser]:
    """Run a browser. Skips the test without it, except under CI=true."""
    path = program("chromium-headless-shell", "chromium-headless-shell")
    async with async_playwright() as playwright:
        # Tests may run as root, where Chromium has no sandbox of its own.
        opened = await playwright.chromium.launch(executable_path=str(path), args=["--no-sandbox"])
        yield opened
        await opened.close()


@asynccontextmanager
async def serving(console: Console) -> AsyncIterator[str]:
    """Serve a console on a free port as the component does, and yield its address."""
    port = free_port()
    server = Server(uvicorn.Config(console.app, host="127.0.0.1", port=port, log_config=None, lifespan="off"))
    task = asyncio.ensure_future(server.serve())

    async def started() -> bool:
        return server.started

    try:
        await eventually(started, "the console listens")
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        await task
