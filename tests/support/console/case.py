"""The console over a real api with a state made by hand, called without a socket. Not a test."""

from __future__ import annotations

import re
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import httpx
import pytest
from prometheus_client import CollectorRegistry

from peyvand.v1 import indicator_pb2
from services.client import connect
from services.console.pages import link
from services.console.queries import EditionFeed
from services.console.web import Settled, answers, make_app
from services.core.bus import StoredMessage
from services.core.errors import ApiError
from services.core.log import logger
from services.core.model import IndicatorKind
from services.register.directory import load_register
from tests.support.cases.api.blocks import AS_OF
from tests.support.cases.api.server import Api
from tests.support.cases.datasets.frozen_rounds import write_round
from tests.support.registers import ANNOUNCEMENTS, EVALUATION, LEGAL_BASES, OBJECTIONS, write_register
from tests.support.waiting import DEADLINE

__all__ = ["NAMED_PAGES", "Console", "numbers_of"]

NAMED_PAGES = (
    "/",
    "/agencies",
    "/agency/tax-office",
    "/matrix",
    "/matrix/land-registry/tax-office",
    "/service/title-deed",
    "/link/deed-tax",
    "/structure",
    "/rounds",
    "/findings",
    "/data",
    "/method",
    "/monitor",
    "/news",
    "/search?q=tax",
    "/accessibility",
    "/sign-in",
)
"""An address of every page, without the language."""

_DATA = re.compile(r'<data value="([^"]*)"')


def numbers_of(page: str) -> list[float]:
    """The values of all numbers on a page, in order."""
    return [float(value) for value in _DATA.findall(page)]


@dataclass
class Console:
    """A console and its parts. ``clock`` is its time in seconds."""

    api: Api
    feed: EditionFeed
    client: httpx.AsyncClient
    registry: CollectorRegistry
    app: Any
    clock: list[float] = field(default_factory=lambda: [1000.0])

    async def get(self, path: str, **headers: str) -> httpx.Response:
        return await self.client.get(path, headers={key.replace("_", "-"): value for key, value in headers.items()})

    async def refresh(self) -> None:
        """Ask the api once, as the feed does every second."""
        await self.feed.refresh()


@pytest.fixture(scope="session")
def register(tmp_path_factory):
    """The register of these tests, with everything that people write into a register."""
    return load_register(
        write_register(
            tmp_path_factory.mktemp("console") / "register",
            announcements_yaml=ANNOUNCEMENTS,
            objections_csv=OBJECTIONS,
            links_csv=LEGAL_BASES,
            evaluation_rounds_yaml=EVALUATION,
        )
    )


def _history(api: Api) -> Callable[..., Any]:
    """Return a reader of stream INDICATORS in which the present indicators were published every hour of a day."""

    async def read(_: str, start: int, *, pattern: str, limit: int, **__: Any) -> list[StoredMessage]:
        kind, entity, days = pattern.split(".")[-3:]
        found = api.state.model.find(IndicatorKind[kind.upper()], entity, int(days))
        if found is None:
            return []
        messages = []
        for hour in range(24):
            message = indicator_pb2.Indicator()
            message.CopyFrom(found.message)
            message.as_of.seconds = AS_OF - 3600 * (23 - hour)
            messages.append(StoredMessage(hour + 1, pattern, message.SerializeToString(), float(AS_OF)))
        return [one for one in messages if one.sequence >= start][:limit]

    return read


@pytest.fixture(scope="session")
def frozen_rounds(tmp_path_factory):
    """A folder with three frozen rounds: an original, its correction, and a newer provisional one."""
    folder = tmp_path_factory.mktemp("frozen") / "rounds"
    write_round(folder, "2026-spring")
    write_round(folder, "2026-spring-2", corrects="2026-spring", why="An agency was listed twice.")
    write_round(folder, "trial", as_of=AS_OF + 300, provisional=True)
    return folder


@pytest.fixture
def rounds(frozen_rounds, tmp_path):
    """A copy of the frozen rounds, which a test may change."""
    return shutil.copytree(frozen_rounds, tmp_path / "rounds")


@pytest.fixture
async def make_console(empty_api, rounds, monkeypatch) -> AsyncIterator[Callable[..., Any]]:
    """A function that makes consoles with an operator's settings. They wait for the api on a busy machine."""
    monkeypatch.setattr(answers, "GATHER_SECONDS", DEADLINE)
    monkeypatch.setattr(link, "_TREND_SECONDS", DEADLINE)
    opened: list[Any] = []
    empty_api.bucket.read = _history(empty_api)

    async def make(**settled: Any) -> Console:
        connection = connect(empty_api.address, timeout=DEADLINE)
        api = await connection.__aenter__()
        opened.append(connection)
        clock = [1000.0]
        registry = CollectorRegistry()
        feed = EditionFeed(api, api, logger(), lambda: clock[0])
        given = replace(Settled(base="http://console.test", rounds=rounds), **settled)
        app = make_app(given, api, feed, registry, logger(), lambda: clock[0])
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
        client = httpx.AsyncClient(transport=transport, base_url="http://console.test")
        opened.append(client)
        one = Console(empty_api, feed, client, registry, app, clock)
        with suppress(ApiError):  # nothing is published yet
            await one.refresh()
        return one

    yield make
    for one in reversed(opened):
        await one.__aexit__(None, None, None)


@pytest.fixture
async def console(api, make_console):
    """A console for everybody over an api with a register and a first set of blocks."""
    return await make_console()
