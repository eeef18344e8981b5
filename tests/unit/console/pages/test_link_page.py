"""The pages of an inquiry and of its service."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from services.api.answers.sealed_days import SealedDays
from services.console.pages import link
from services.console.texts import LANGUAGES
from services.core.blocks.target_blocks import encode_recent_blocks, encode_slot_blocks
from services.core.bus import group_of, recent_key, slot_key
from services.core.codec import indicator_from_message
from services.core.errors import StateError
from services.core.model import Indicator, IndicatorKind, Outcome, Reason, RecentRows
from services.register.directory.load import load_register
from tests.support.cases.api.blocks import AS_OF, recent_block, slot_block_of
from tests.support.cases.api.server import Api, served
from tests.support.console.case import Console, numbers_of
from tests.support.console.words import text_of
from tests.support.registers import write_register


async def test_pages_link_down_to_the_evidence(console: Console) -> None:
    """The overview leads to the evidence of a link, with its objections and its legal basis."""
    overview = (await console.get("/en/")).text
    assert "/en/link/" in overview
    link = (await console.get("/en/link/deed-tax")).text
    assert "The answer is not late." in link
    civil = (await console.get("/en/link/deed-civil")).text
    assert "Decision 12 of the council" in civil
    assert "It is replaced in the next register." in civil


async def test_a_link_page_shows_work_on_the_link_and_its_agencies(api: Api, make_console: Any, tmp_path: Path) -> None:
    """Work that went on in the slots that are shown, or comes later, stands beside them, but not that of others."""
    day = "2026-09-"  # AS_OF is on the 21st
    rows = f"subject,from,to,note\ndeed-tax,{day}20,{day}21,of the link\ntax-office,{day}25,{day}26,of the provider\n"
    rows += f"land-registry,{day}01,{day}02,long over\ncustoms,{day}20,{day}29,of others\n"
    api.take_register(load_register(write_register(tmp_path / "worked", maintenance_csv=rows)))
    page = (await (await make_console()).get("/en/link/deed-tax")).text
    notes = ("of the link", "of the provider", "long over", "of others")
    assert [note for note in notes if note in page] == ["of the link", "of the provider"]


@pytest.mark.parametrize(
    ("code", "sentence"), [("en", "It is not in force in this window."), ("fa", "در این پنجرهٔ زمانی الزام جاری ندارد.")]
)
async def test_a_link_that_is_not_in_force_has_a_page(api: Api, make_console: Any, code: str, sentence: str) -> None:
    """The page says what is required although no number is published over the window."""
    api.take_blocks(windows=(90,))
    page = await (await make_console()).get(f"/{code}/link/deed-tax")
    assert (page.status_code, sentence in page.text) == (200, True)
    assert "http://127.0.0.1:7500/tax/clearance" in page.text


@pytest.mark.parametrize(
    ("code", "reason"), [("en", "another status than expected"), ("fa", "وضعیتی جز آنچه انتظار می‌رفت")]
)
async def test_a_reason_is_in_the_page_s_language_and_its_detail_in_english(
    console: Console, api: Api, code: str, reason: str
) -> None:
    """Details have texts of servers and patterns, so they stay as the prober writes them: English, from left to right."""
    api.bucket.values[recent_key(group_of("land-registry"), 0)] = encode_recent_blocks([recent_block(api.register)])[0]
    page = (await console.get(f"/{code}/link/deed-tax")).text
    failures = page.partition('data-part="failures"')[2].partition("</section>")[0]
    assert reason in failures
    assert '<bdi lang="en" dir="ltr">status 503</bdi>' in failures


@pytest.mark.parametrize(
    ("code", "answer", "phase"),
    [("en", "under 1 ms", "under 0.1 ms"), ("fa", "کمتر از ۱ میلی‌ثانیه", "کمتر از ۰٫۱ میلی‌ثانیه")],
)
async def test_a_quick_answer_takes_some_time(console: Console, api: Api, code: str, answer: str, phase: str) -> None:
    """An answer within a millisecond, and a phase within a tenth of one, are not said to take 0 ms."""
    block = recent_block(api.register)
    quick = block.latest.numbers.copy()
    quick[6, 0], quick[8, 0] = 300, 20  # the latency, and the first phase
    latest = RecentRows(quick, block.latest.details)
    api.bucket.values[recent_key(group_of("land-registry"), 0)] = encode_recent_blocks([replace(block, latest=latest)])[
        0
    ]
    text = await text_of(console, f"/{code}/link/deed-tax")
    assert answer in text
    assert phase in text


async def test_the_share_of_inquiries_with_a_legal_basis_is_published(console: Console) -> None:
    """Two of the eight links state a legal basis, and the monitor page shows their share."""
    assert "Of them with a stated legal basis 25.0%" in await text_of(console, "/en/monitor")


async def test_a_service_page_says_what_each_inquiry_is_now(console: Console, api: Api) -> None:
    """Each inquiry shows the verdict and reason of its newest slot, and since when."""
    first = AS_OF // 300 // 64 * 64
    cells = {("deed-tax", slot, "north"): (Outcome.OK, Reason.OK) for slot in range(first, first + 10)}
    cells |= {
        ("deed-tax", slot, "north"): (Outcome.NOT_CONNECTED, Reason.CONNECT_REFUSED)
        for slot in range(first + 10, first + 64)
    }
    block = slot_block_of(api.register, "land-registry", first // 64, cells)
    api.bucket.values[slot_key(group_of("land-registry"), first // 64)] = encode_slot_blocks([block])[0]
    text = await text_of(console, "/en/service/title-deed")
    assert "Now: Not connected , the connection was refused since 21 September 2026" in text.replace(
        "connected,", "connected ,"
    )
    assert "اکنون: متصل نشد" in await text_of(console, "/fa/service/title-deed")


@pytest.mark.parametrize("code", LANGUAGES)
async def test_a_link_page_has_the_days_that_the_archive_sealed(
    api: Api, make_console: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, code: str
) -> None:
    """The chart covers the sealed days up to now, and its table has the same numbers. A reader may choose the span."""
    found = api.state.model.find(IndicatorKind.LINK, "deed-tax", 28)
    assert found is not None
    now = indicator_from_message(found.message)
    days = [replace(now, as_of=AS_OF - 86400 * age, point=0.9 - age / 100, lower=0.5) for age in (20, 6, 5, 4)]

    def indexes(
        _: SealedDays, __: Any, kind: IndicatorKind, entity: str, window: int, **span: float
    ) -> list[Indicator]:
        assert (kind, entity, window) == (IndicatorKind.LINK, "deed-tax", 28)
        return [one for one in days if span["start"] <= one.as_of < span["end"]]

    monkeypatch.setattr(SealedDays, "indexes", indexes)
    async with served(api.state, CollectorRegistry(), dataset=str(tmp_path)) as port:
        api.address = f"127.0.0.1:{port}"
        console = await make_console()
        for query, points in (("", [0.9, 0.86, 0.85, 0.84]), ("?span=28", [0.9, 0.86, 0.85, 0.84, 0.7])):
            page = (await console.get(f"/{code}/link/deed-tax{query}")).text
            figure = page.partition('<figure data-part="trend">')[2].partition("</figure>")[0]
            assert f'href="/{code}/link/deed-tax?span=90"' in figure
            rows = figure.partition("<tbody>")[2].split("</tr>")[:-1]
            assert [numbers_of(row)[0] for row in rows] == [pytest.approx(point) for point in points], query
            lines = re.findall(r'<path d="([^"]*)" class="line"', figure)
            assert sum(len(re.findall("[ML]", line)) for line in lines) == len(rows)


async def test_a_link_page_stands_without_a_history(
    api: Api, make_console: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Without an archive, or if it cannot be read in time, the page shows the evidence and says what is missing."""
    sentence = "Earlier days of this inquiry are not kept here, or cannot be read at the moment."
    assert sentence in (await (await make_console()).get("/en/link/deed-tax")).text

    def damaged(*_: Any, **__: Any) -> list[Indicator]:
        raise StateError("the log is damaged")

    async def slow(*_: Any) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(SealedDays, "indexes", damaged)
    async with served(api.state, CollectorRegistry(), dataset=str(tmp_path)) as port:
        api.address = f"127.0.0.1:{port}"
        assert sentence in (await (await make_console()).get("/en/link/deed-tax")).text
        monkeypatch.setattr(link, "trend_of", slow)
        monkeypatch.setattr(link, "_TREND_SECONDS", 0.0)
        assert sentence in (await (await make_console()).get("/en/link/deed-tax")).text
