"""The console's tasks: what ends them, and what /health says meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Any
from zoneinfo import ZoneInfoNotFoundError

import httpx
import pytest
from prometheus_client import CollectorRegistry

from services.client import Client
from services.console import component
from services.console.queries import names
from services.console.web import answers
from services.core.log import logger
from services.core.runtime import ENDING, Health, Runtime
from services.core.settings import Settings
from services.core.tasks import cancel_and_wait
from tests.support.ports import free_port
from tests.support.waiting import DEADLINE, eventually


class RecordedHealth(Health):
    """A health that records whether the component was to stop each time that it said SERVING."""

    def __init__(self, stop: asyncio.Event) -> None:
        super().__init__()
        self.stopped_at: list[bool] = []
        self._stop = stop

    def serving(self) -> None:
        super().serving()
        self.stopped_at.append(self._stop.is_set())


@pytest.fixture
async def start(api: Any) -> AsyncIterator[Callable[[], tuple[Runtime, asyncio.Task[None]]]]:
    """A function that starts a console over an api with figures."""
    started: list[asyncio.Task[None]] = []

    def run() -> tuple[Runtime, asyncio.Task[None]]:
        settings, stop = Settings(console=f"127.0.0.1:{free_port()}", api=api.address), asyncio.Event()
        runtime = Runtime(settings, CollectorRegistry(), logger(), stop, RecordedHealth(stop))
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


async def test_a_console_that_drains_does_not_serve(
    start: Callable[[], tuple[Runtime, asyncio.Task[None]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the last requests are answered, /health stays NOT_SERVING."""
    asked = asyncio.Event()

    async def never(*_: Any, **__: Any) -> None:
        asked.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(Client, "structure", never)
    monkeypatch.setattr(answers, "GATHER_SECONDS", DEADLINE)
    monkeypatch.setattr(component, "_GRACE_SECONDS", 1)
    runtime, running = start()
    await eventually(lambda: runtime.health.is_serving, "the console serves")
    async with httpx.AsyncClient(base_url=f"http://{runtime.settings.console}", trust_env=False) as client:
        request = asyncio.ensure_future(client.get("/en/structure", timeout=DEADLINE))
        await asyncio.wait_for(asked.wait(), DEADLINE)
        runtime.stop.set()
        await running
        with suppress(httpx.HTTPError):
            await request
    assert isinstance(runtime.health, RecordedHealth)
    assert True not in runtime.health.stopped_at
    assert str(runtime.health) == f"NOT_SERVING: {ENDING}"
