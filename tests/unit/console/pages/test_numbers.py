"""The numbers of all pages are the api's own."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from peyvand.v1 import indicator_pb2, indicator_service_pb2, register_service_pb2
from services.console.pages import government
from services.console.texts import LANGUAGES, iso
from tests.support.cases.api.blocks import AS_OF, blocks_of, unknown_blocks_of
from tests.support.cases.api.server import Api
from tests.support.console.case import NAMED_PAGES, Console, numbers_of


def _doubles(message: Message) -> Iterator[float]:
    for field, value in message.ListFields():
        values = value if field.is_repeated else [value]
        for one in values:
            if field.type == FieldDescriptor.TYPE_MESSAGE:
                yield from _doubles(one)
            elif field.type == FieldDescriptor.TYPE_DOUBLE:
                yield one
            elif field.type in (FieldDescriptor.TYPE_UINT32, FieldDescriptor.TYPE_UINT64):
                yield float(one)


async def _numbers_of_the_api(console: Console) -> set[float]:
    calls: Any = console.api.indicators
    kinds = [kind for kind in indicator_pb2.IndicatorKind.values() if kind]
    answers: list[Message] = []
    for days in (7, 28, 90):
        answers += [
            await calls.ListIndicators(indicator_service_pb2.ListIndicatorsRequest(kind=k, window_days=days))
            for k in kinds
        ]
    answers += [
        await calls.GetStructure(indicator_service_pb2.GetStructureRequest()),
        await calls.ListLinks(indicator_service_pb2.ListLinksRequest()),
        await calls.ListPairs(indicator_service_pb2.ListPairsRequest()),
        monitoring := await calls.GetMonitoring(indicator_service_pb2.GetMonitoringRequest()),
        await console.api.registers.GetRegister(register_service_pb2.GetRegisterRequest()),
        await console.api.registers.ListEvaluationRounds(register_service_pb2.ListEvaluationRoundsRequest()),
        await console.api.registers.ListFrozenRounds(register_service_pb2.ListFrozenRoundsRequest()),
    ]
    explained = [
        ("GOVERNMENT", ""),
        ("CONSUMER", "tax-office"),
        ("PROVIDER", "tax-office"),
        ("SERVICE", "title-deed"),
        ("LINK", "deed-tax"),
    ]
    numbers = {0.0, 1.0}
    for kind, entity in explained:
        request = indicator_service_pb2.ExplainIndicatorRequest(
            kind=indicator_pb2.IndicatorKind.Value(f"INDICATOR_KIND_{kind}"), id=entity, limit=1000
        )
        answer = await calls.ExplainIndicator(request)
        answers.append(answer)
        numbers |= {one.index_if_fixed - answer.estimate for one in answer.links}  # the gain on a page
    numbers |= {number for answer in answers for number in _doubles(answer)}
    numbers |= {one.delivered / one.expected for one in monitoring.monitoring.vantages}
    return numbers | {number / 100 for number in numbers}  # official scores are in per cent


async def test_200_numbers_at_random_are_those_of_the_api(console: Console) -> None:
    """Every number on a page is, to its last digit, one of the api's, or it counts the entries of the page."""
    numbers: list[float] = []
    for path in NAMED_PAGES:
        for code in LANGUAGES:
            page = (await console.get(f"/{code}{path}")).text
            numbers += numbers_of(page)
    allowed = await _numbers_of_the_api(console)
    counts = {float(number) for number in range(20)} | {300.0, 2000.0, 500.0}  # of rows, and limits of links
    drawn = random.Random(14).sample(numbers, min(200, len(numbers)))
    assert len(drawn) == 200
    assert [number for number in drawn if number not in allowed | counts] == []


async def test_no_number_without_window_versions_and_time(console: Console) -> None:
    """Every page shows its time and versions, and pages of figures show their window."""
    for path in NAMED_PAGES:
        page = (await console.get(f"/en{path}")).text
        assert console.feed.edition is not None
        assert console.feed.edition.register_version[:12] in page
        assert "2026-09-21T" in page, path  # AS_OF
    assert AS_OF == 1_790_000_100


@pytest.mark.parametrize(("query", "days"), [("", 28), ("?window=7", 7), ("?window=5", 28)])
async def test_the_window_that_a_page_names_is_that_of_its_numbers(console: Console, query: str, days: int) -> None:
    """The window marked as chosen is the one the figures are of, also if the address names none: 28 days, not the first."""
    rows = json.loads((await console.get(f"/data/agencies.json{query}")).text)["rows"]
    assert {row["window_days"] for row in rows} == {days}
    assert f'aria-current="true"><data value="{days}"' in (await console.get(f"/en/agencies{query}")).text


async def test_where_too_little_is_known_there_is_no_point(empty_api: Any, make_console: Any) -> None:
    """The page shows only the bounds, and says why."""
    empty_api.take_register()
    for key, block in blocks_of(empty_api.register).items():
        unknown = [
            replace(one, point=None, interval=None, lower=0.4, upper=0.9, known_share=0.5) for one in block.indicators
        ]
        empty_api.take(key, replace(block, indicators=unknown))
    console = await make_console()
    for path in ("/en/", "/en/agency/tax-office", "/en/service/title-deed", "/en/link/deed-tax"):
        page = (await console.get(path)).text
        assert "Too little is known for a number" in page, path
        assert "<circle" not in page.split('data-part="scale"')[-1].split("</figure>")[0]
        assert '<data value="0.4" dir="ltr">40.0</data>' in page
    page = (await console.get("/badge/government/all.svg")).text
    assert "Peyvand: 40.0 to 90.0" in page


@pytest.mark.parametrize(
    "path", ["/", "/agency/tax-office", "/matrix/land-registry/tax-office", "/structure", "/rounds"]
)
async def test_every_chart_stands_beside_the_same_numbers(console: Console, path: str) -> None:
    """Numbers on bars, waterfalls and scales are in their figure's table or key. A trend has a row for each point."""
    page = (await console.get(f"/en{path}")).text
    figures = re.findall(r"<figure.*?</figure>", page, re.DOTALL)
    assert len(figures) == page.count('role="img"') > 0
    for figure in figures:
        beside = {one.lstrip("−") for one in re.findall(r"<data[^>]*>([^<]*)</data>", figure)} | {
            "100",
            "too little known",
        }
        drawn = re.findall(r'<text[^>]*class="value"[^>]*>([^<]*)</text>', figure)
        assert {one.lstrip("−").rstrip("%") for one in drawn} <= beside, figure
        lines = re.findall(r'<path d="([^"]*)" class="line"', figure)
        if 'class="chart trend"' in figure:
            assert sum(len(re.findall("[ML]", line)) for line in lines) == figure.count("<tr>") - 1
        else:
            assert drawn


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        ("en", "It is not known yet where inquiries are lost."),
        ("fa", "هنوز مشخص نیست استعلام‌ها در کدام مرحله از دست می‌روند."),
    ],
)
async def test_nothing_is_said_to_be_answered_where_nothing_is_known(
    console: Console, api: Api, code: str, sentence: str
) -> None:
    """If nothing is known, the page says so: a waterfall without losses would say that everything was answered."""
    for key, block in unknown_blocks_of(api.register).items():
        api.take(key, block)
    await console.refresh()
    for path in ("/", "/agency/tax-office"):
        page = (await console.get(f"/{code}{path}")).text
        assert page.count(sentence) == 2, path
        assert 'data-part="waterfall"' not in page, path


async def test_a_trend_ends_with_the_index_as_it_is_now(console: Console, api: Api) -> None:
    """Hourly records may be an hour old, so the last point of a trend is the number that the page shows."""
    later = AS_OF + 300
    api.take_blocks(as_of=later, ok={"deed-tax": 0}, sequence=8)
    await console.refresh()
    for path in ("/en/", "/en/agency/tax-office", "/en/service/title-deed"):
        page = (await console.get(path)).text
        shown = re.search(r'<p class="answer"[^>]*>\s*<strong class="number">(<data[^>]*>)', page)
        assert shown, path
        trend = re.search(r'<figure data-part="trend">.*?</figure>', page, re.DOTALL)
        assert trend
        newest = trend[0].partition("<tbody>")[2].partition("</tr>")[0]
        assert shown[1] in newest, path
        assert iso(later) in newest, path


async def test_no_agency_is_both_lowest_and_highest(console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    """The overview lists each agency once, also where there are fewer than two lists of them: here four in lists of three."""
    monkeypatch.setattr(government, "_ROWS", 3)
    page = (await console.get("/en/")).text
    lowest, highest = (
        re.findall(r'href="/en/agency/([^"]+)"', page.partition(f'<h3 id="{name}">')[2].partition("</table>")[0])
        for name in ("worst", "best")
    )
    assert (len(lowest), len(highest)) == (3, 1)
    assert not {*lowest} & {*highest}
