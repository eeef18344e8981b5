"""Why a console has no figures: what the page and the log say."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from services.client import Client, connect
from services.console.queries import EditionFeed
from services.core.errors import ApiError, ApiForbiddenError
from services.core.log import logger
from tests.support.cases.api.server import Api
from tests.support.console.case import Console
from tests.support.ports import free_port
from tests.support.waiting import DEADLINE


async def _lost(feed: EditionFeed) -> list[str]:
    """Refresh, which fails, and return the reasons that the log gets."""
    with capture_logs() as lines, pytest.raises(ApiError):
        await feed.refresh()
    return [line["reason"] for line in lines if line["event"] == "api_lost"]


async def test_an_api_that_never_answered_is_told_once(empty_api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """The log says why a console that has just started has no figures, once for each reason until there are figures."""
    empty_api.take_register()
    nowhere = f"127.0.0.1:{free_port()}"
    async with connect(nowhere, timeout=DEADLINE) as away, connect(empty_api.address, timeout=DEADLINE) as there:
        feed = EditionFeed(away, away, logger(), lambda: 0.0)
        (reason,) = await _lost(feed)
        assert nowhere in reason
        assert await _lost(feed) == []
        assert not feed.awaits_figures
        feed._api = feed._naming = there
        assert await _lost(feed) == []  # it answers that figures are still to come, as after any start
        assert feed.awaits_figures
        empty_api.take_blocks()

        async def forbidden(*_: object) -> None:
            raise ApiForbiddenError("api at there: this certificate has no role `console`", "MAY_NOT_ACT")

        with monkeypatch.context() as patched:
            patched.setattr(Client, "register", forbidden)
            assert len(await _lost(feed)) == 1
            assert not feed.awaits_figures
        await feed.refresh()
        assert (feed.awaits_figures, feed.away_seconds) == (False, 0.0)


async def test_figures_are_promised_only_by_an_api_that_answers(
    make_console, empty_api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page says that the first figures are still to come if the api says so, and not while it answers with a refusal."""
    console: Console = await make_console()
    assert "The first figures are not there yet" in (await console.get("/en/")).text

    async def forbidden(*_: object) -> None:
        raise ApiForbiddenError("api at there: this certificate has no role `console`", "MAY_NOT_ACT")

    monkeypatch.setattr(Client, "register", forbidden)
    with pytest.raises(ApiForbiddenError):
        await console.refresh()
    page = await console.get("/en/")
    assert (page.status_code, "The figures cannot be read at the moment" in page.text) == (503, True)
