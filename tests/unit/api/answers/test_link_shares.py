"""The evidence of a window, gathered once for all who ask."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from threading import Event

import pytest

from services.api.answers import link_shares
from services.api.answers.link_shares import WindowEvidence, WindowEvidenceCache, gather_window
from services.api.model import RegisterView
from services.core.blocks import BlockReader
from tests.support.cases.api.blocks import AS_OF
from tests.support.cases.api.server import Api
from tests.support.waiting import eventually


class Gathering:
    """Gathers windows only once ``released``, and keeps the results."""

    def __init__(self) -> None:
        self.begun, self.released = Event(), Event()
        self.results: list[WindowEvidence] = []
        self.error: Exception | None = None

    def __call__(self, view: RegisterView, blocks: Mapping[str, BlockReader], window_days: int) -> WindowEvidence:
        self.begun.set()
        self.released.wait()
        if self.error is not None:
            raise self.error
        self.results.append(gather_window(view, blocks, window_days))
        return self.results[-1]


@pytest.fixture
def gathering(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gathering]:
    gathering = Gathering()
    monkeypatch.setattr(link_shares, "gather_window", gathering)
    yield gathering
    gathering.released.set()


async def test_a_result_outlives_the_caller_who_gave_up(api: Api, gathering: Gathering) -> None:
    """A window is gathered to the end although its only caller is cancelled, and the next caller gets the result."""
    cache = WindowEvidenceCache(api.state.model)
    first = asyncio.create_task(cache.of_window(28))
    await eventually(gathering.begun.is_set, "the window is gathered")
    first.cancel()
    await asyncio.wait({first})
    assert first.cancelled()
    second = asyncio.create_task(cache.of_window(28))
    gathering.released.set()
    evidence = await second
    assert len(gathering.results) == 1
    assert evidence is gathering.results[0]
    assert await cache.of_window(28) is evidence


async def test_a_caller_after_a_refresh_gets_that_refresh(api: Api, gathering: Gathering) -> None:
    """A caller does not get a refresh older than its call, even if one is still gathered; an earlier caller does."""
    cache = WindowEvidenceCache(api.state.model)
    first = asyncio.create_task(cache.of_window(28))
    await eventually(gathering.begun.is_set, "the window is gathered")
    former = api.state.model.whole
    api.take_blocks(as_of=AS_OF + 300)
    assert api.state.model.whole is not former
    second = asyncio.create_task(cache.of_window(28))
    await asyncio.sleep(0)
    gathering.released.set()
    assert (await first).blocks is former
    assert (await second).blocks is api.state.model.whole


async def test_a_failure_is_not_kept(api: Api, gathering: Gathering) -> None:
    """Each caller who waits gets the error, and the next caller gathers again."""
    cache = WindowEvidenceCache(api.state.model)
    gathering.error = ValueError("no memory")
    gathering.released.set()
    for _ in range(2):
        with pytest.raises(ValueError, match="no memory"):
            await cache.of_window(28)
    gathering.error = None
    assert await cache.of_window(28) is gathering.results[0]
