"""Provide the console over an api with a handmade state, and a browser that the tests share."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser

from tests.support.cases.api.server import api, empty_api
from tests.support.console.browser import running_browser
from tests.support.console.case import console, frozen_rounds, make_console, register, rounds

__all__ = ["api", "console", "empty_api", "frozen_rounds", "make_console", "register", "rounds"]


@pytest.fixture
def _function_scoped_runner(_session_scoped_runner: asyncio.Runner) -> asyncio.Runner:
    """Run these tests and their fixtures in one event loop, so that they can share the browser."""
    return _session_scoped_runner


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def running() -> AsyncIterator[Browser]:
    """A browser. Starting one takes a second of CPU, longer than most tests use it."""
    async with running_browser() as one:
        yield one


@pytest.fixture
async def browser(running: Browser) -> AsyncIterator[Browser]:
    """The browser, without pages of an earlier test."""
    yield running
    for context in running.contexts:
        await context.close()
