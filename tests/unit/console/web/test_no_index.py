"""The console of a register that lists no inquiries in force: there is no index."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from services.console.queries import edition
from services.core.model import IndicatorKind
from services.register.directory import load_register
from tests.support.cases.api.blocks import AS_OF, blocks_of
from tests.support.console.case import Console
from tests.support.registers import ANNOUNCEMENTS, write_register
from tests.support.values.block_columns import Block

_STARTS = 1_772_532_000
"""When an announcement of the register begins that has no end."""

_SENTENCE = {
    "en": "The register lists no inquiries that are in force here, so there is no index.",
    "fa": "در این مورد، هیچ استعلام الزامی نافذی در فهرست ثبت نشده است و از این رو شاخصی محاسبه نمی‌شود.",
}


@pytest.fixture
async def endpoints_only(tmp_path: Any, empty_api: Any, make_console: Any) -> Console:
    """A console of a register that has endpoints and no links."""
    register = load_register(
        write_register(
            tmp_path / "register",
            services_csv="id,agency,name_en,name_fa\n",
            links_csv="id,service,provider,data_item\n",
            endpoints_csv=("tax-clearance", ""),
            announcements_yaml=ANNOUNCEMENTS.replace("  links: [deed-tax]\n", ""),
        )
    )
    (first, *_) = blocks_of(empty_api.register)["consumer.tax-office"].indicators
    empty_api.take_register(register)
    for endpoint in register.endpoints.values():
        figure = replace(first, kind=IndicatorKind.ENDPOINT, id=endpoint.id, strict=None)
        empty_api.take(f"consumer.{endpoint.agency}", Block((figure,)))
    return await make_console()


async def test_the_console_serves_without_an_index(endpoints_only: Console) -> None:
    """A register without links is an answer: the api is not lost, /healthz serves, and pages without an index are shown."""
    assert endpoints_only.feed.away_seconds == 0
    assert (await endpoints_only.get("/healthz")).text == "SERVING\n"
    paths = (
        "/agencies",
        "/agency/tax-office",
        "/data",
        "/method",
        "/monitor",
        "/news",
        "/search?q=tax",
        "/accessibility",
    )
    for path in paths:
        assert (await endpoints_only.get(f"/fa{path}")).status_code == 200, path


@pytest.mark.parametrize("language", ["en", "fa"])
async def test_a_page_about_the_index_says_that_there_is_none(endpoints_only: Console, language: str) -> None:
    """Pages of the index say in one sentence why there is none, not that it comes soon or that the api is away."""
    for path in ("/", "/matrix", "/structure", "/rounds", "/findings"):
        page = await endpoints_only.get(f"/{language}{path}")
        assert (page.status_code, _SENTENCE[language] in page.text) == (404, True), path
    page = await endpoints_only.get(f"/{language}/monitor")
    assert _SENTENCE[language] in page.text
    for path in ("/data/government.csv", "/data/pairs.json"):
        assert (await endpoints_only.get(path)).status_code == 404


async def test_pages_without_an_index_follow_the_clock(
    endpoints_only: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without an index each slot has an edition, so that an announcement comes into force by itself."""
    shown = []
    for moment in (_STARTS - 300, _STARTS):
        monkeypatch.setattr(edition, "time", SimpleNamespace(time=lambda moment=moment: float(moment)))
        await endpoints_only.refresh()
        page = (await endpoints_only.get("/en/news")).text
        shown.append(("To come" in page, "In force" in page))
    assert shown == [(True, False), (False, True)]


async def test_an_index_of_a_longer_window_is_shown(api: Any, make_console: Any) -> None:
    """If no inquiry is in force in the default window, its pages say so, and pages of a longer window have their figures."""
    policy = api.register.policy
    longest = max(policy.windows_days)
    assert longest > policy.default_window
    api.take_blocks(windows=(longest,))
    console = await make_console()
    assert (await console.get("/healthz")).text == "SERVING\n"
    page = await console.get("/en/")
    assert (page.status_code, _SENTENCE["en"] in page.text) == (404, True)
    assert (await console.get(f"/en/?window={longest}")).status_code == 200
    assert (await console.get("/en/monitor")).status_code == 200
    rows = json.loads((await console.get("/data/government.json")).text)["rows"]
    assert [row["window_days"] for row in rows] == [longest]


async def test_the_api_is_not_lost_while_blocks_arrive(api: Any, make_console: Any) -> None:
    """An api that has a part of the next index still says that no inquiry is in force in the default window."""
    longest = max(api.register.policy.windows_days)
    api.take_blocks(windows=(longest,))
    console = await make_console()
    newer = blocks_of(api.register, windows=(longest,), as_of=AS_OF + 300)
    api.take("consumer.customs", newer["consumer.customs"])
    await console.refresh()
    assert (await console.get("/healthz")).text == "SERVING\n"
    assert (await console.get("/en/agency/tax-office")).status_code == 200


async def test_the_api_is_asked_less_often_without_an_index(
    endpoints_only: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without an index the feed rests longer between its calls; with one, or while the api is away, it does not."""
    rests: list[float] = []

    async def rest(seconds: float) -> None:
        rests.append(seconds)
        if len(rests) == 1:
            endpoints_only.api.take_register()
            endpoints_only.api.take_blocks()
        if len(rests) == 3:
            raise asyncio.CancelledError
        if len(rests) == 2:
            endpoints_only.api.state.model.blocks.clear()

    monkeypatch.setattr(edition, "asyncio", SimpleNamespace(sleep=rest))
    with pytest.raises(asyncio.CancelledError):
        await endpoints_only.feed.run()
    without, later, away = rests
    assert without > later == away


async def test_one_window_is_asked_for_where_a_longer_one_has_the_index(api: Any, make_console: Any) -> None:
    """The window that had an index is asked for first the next time, and each other one only where that has none now."""
    longest = max(api.register.policy.windows_days)
    api.take_blocks(windows=(longest,))
    console = await make_console()
    before = api.counted("GetIndicator", "FAILED_PRECONDITION")
    await console.refresh()
    assert api.counted("GetIndicator", "FAILED_PRECONDITION") == before
    api.take_blocks(as_of=AS_OF + 300, windows=api.register.policy.windows_days[:1])
    await console.refresh()
    assert console.feed.edition is not None
    assert console.feed.edition.as_of == AS_OF + 300


async def test_links_that_come_into_force_bring_the_index(endpoints_only: Console) -> None:
    """Once a register with links is published and scored, the same console shows its index."""
    endpoints_only.api.take_register()
    endpoints_only.api.take_blocks()
    await endpoints_only.refresh()
    assert (await endpoints_only.get("/en/")).status_code == 200
