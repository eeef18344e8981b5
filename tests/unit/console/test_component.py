"""The console's tasks: what ends them, and what /health says meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any
from zoneinfo import ZoneInfoNotFoundError

import pytest
from prometheus_client import CollectorRegistry

from services.console import component
from services.console.queries import names
from services.core.log import logger
from services.core.runtime import Runtime
from services.core.settings import Settings
from services.core.tasks import cancel_and_wait
from tests.support.ports import free_port
from tests.support.waiting import DEADLINE


@pytest.fixture
async def start(api: Any) -> AsyncIterator[Callable[[], tuple[Runtime, asyncio.Task[None]]]]:
    """A function that starts a console over an api with figures."""
    started: list[asyncio.Task[None]] = []

    def run() -> tuple[Runtime, asyncio.Task[None]]:
        settings, stop = Settings(console=f"127.0.0.1:{free_port()}", api=api.address), asyncio.Event()
        runtime = Runtime(settings, CollectorRegistry(), logger(), stop)
        started.append(asyncio.ensure_future(component.main(runtime)))
        return runtime, started[-1]

    yield run
    await cancel_and_wait(*started)


async def test_an_unexpected_error_of_the_feed_ends_the_console(
    start: Callable[[], tuple[Runtime, asyncio.Task[None]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A console that cannot follow the figures any more ends with the error, and does not serve old figures for ever."""

    def unknown(name: str) -> None:
        raise ZoneInfoNotFoundError(name)

    monkeypatch.setattr(names, "ZoneInfo", unknown)
    _, running = start()
    await asyncio.wait({running}, timeout=DEADLINE)
    assert running.done()
    assert isinstance(running.exception(), ZoneInfoNotFoundError)
