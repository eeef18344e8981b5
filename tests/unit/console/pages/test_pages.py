"""Every page, whole in both languages, with the api's own numbers."""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from prometheus_client import CollectorRegistry

from peyvand.v1 import indicator_pb2, indicator_service_pb2, register_service_pb2
from services.api.answers.sealed_days import SealedDays
from services.client import ApiUnavailableError, Client
from services.console.pages import agency, link
from services.console.queries import figure_of
from services.console.texts import LANGUAGES, iso
from services.core.blocks.target_blocks import encode_slot_block
from services.core.errors import StateError
from services.core.model import Indicator, IndicatorKind, Outcome, Reason
from services.register.directory.load import load_register
from tests.support.cases.api.blocks import AS_OF, blocks_of, slot_block_of
from tests.support.cases.api.server import Api, served
from tests.support.console.case import NAMED_PAGES, Console, numbers_of
from tests.support.messages import messages
from tests.support.registers import ANNOUNCEMENTS, KNOWN_ROUNDS, write_register

_TAGS = re.compile(r"<(script|style)\b.*?</\1>|<[^>]+>", re.DOTALL)
_WORDS = re.compile(r"[A-Za-z]{3}")


def _text(page: str) -> str:
    attributes = re.findall(r'(?:aria-label|alt|placeholder|title)="([^"]*)"', page)
    return " ".join([_TAGS.sub("\n", page), *attributes])


async def _text_of(console: Console, path: str) -> str:
    """The words of a page, one space apart."""
    return " ".join(_TAGS.sub(" ", (await console.get(path)).text).split())


@pytest.mark.parametrize("path", NAMED_PAGES)
@pytest.mark.parametrize("code", LANGUAGES)
async def test_every_page_is_there_in_both_languages(console: Console, code: str, path: str) -> None:
    """Each says its language and direction, has one heading and a title, and switches to the same page in the other."""
    answer = await console.get(f"/{code}{path}")
    assert answer.status_code == 200, answer.text
    language = LANGUAGES[code]
    assert f'<html lang="{code}" dir="{language.direction}">' in answer.text
    assert answer.text.count("<h1") == 1
    other = next(one for one in LANGUAGES if one != code)
    assert f'href="/language/{other}{path}"' in answer.text


@pytest.mark.parametrize("path", NAMED_PAGES)
async def test_a_persian_page_has_no_english_sentence(console: Console, path: str) -> None:
    """No message of the catalogue is left in English."""
    text = _text((await console.get(f"/fa{path}")).text)
    english = {part for one in messages() for part in ((one,) if isinstance(one, str) else one)}
    lines = {line.strip() for line in text.splitlines()}
    assert {one for one in english if _WORDS.search(one) and "{" not in one} & lines == set()


async def test_the_start_goes_by_the_browser_and_then_by_the_choice(console: Console) -> None:
    """`/` leads to the first language that the browser asks for, unless another one was chosen before."""
    for asked, code in (
        ("fa-IR,fa;q=0.9,en;q=0.8", "fa"),
        ("de, en;q=0.1, fa;q=0.9", "fa"),
        ("de", "en"),
        ("x;q=y", "en"),
    ):
        assert (await console.get("/", accept_language=asked)).headers["location"] == f"/{code}/"
    chosen = await console.get("/language/fa/agencies?side=consumer&window=28")
    assert chosen.headers["location"] == "/fa/agencies?side=consumer&window=28"
    assert "language=fa" in chosen.headers["set-cookie"]
    assert (await console.get("/", accept_language="en", cookie="language=fa")).headers["location"] == "/fa/"


async def test_a_switch_keeps_page_filter_and_window(console: Console) -> None:
    """The other language, and other windows, are of the same page."""
    page = (await console.get("/en/agencies?side=consumer&sector=justice&window=28")).text
    assert "/language/fa/agencies?side=consumer&amp;sector=justice&amp;window=28" in page
    assert "/en/agencies?side=consumer&amp;sector=justice&amp;window=90" in page
    assert "Tax Office" not in page
    assert "Land Registry" in page


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
        numbers |= {one.index_if_fixed - answer.estimate for one in answer.links}  # what a page calls its gain
    numbers |= {number for answer in answers for number in _doubles(answer)}
    numbers |= {one.delivered / one.expected for one in monitoring.monitoring.vantages}
    return numbers | {number / 100 for number in numbers}  # official scores are in per cent


async def test_200_numbers_at_random_are_those_of_the_api(console: Console) -> None:
    """Whatever number a page shows, to its last digit, the api says it, or it counts what the page lists."""
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
    """Every page says the time and the versions, and the pages of figures their window."""
    for path in NAMED_PAGES:
        page = (await console.get(f"/en{path}")).text
        assert console.feed.edition is not None
        assert console.feed.edition.register_version[:12] in page
        assert "2026-09-21T" in page, path  # AS_OF
    assert AS_OF == 1_790_000_100
    assert 'aria-current="true"><data value="7"' in (await console.get("/en/")).text


async def test_where_too_little_is_known_there_is_no_point(empty_api: Any, make_console: Any) -> None:
    """The page shows the bounds alone, and says why."""
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


async def test_pages_link_down_to_the_evidence(console: Console) -> None:
    """From the overview a link leads to the evidence of one link, with its objections and its legal basis."""
    overview = (await console.get("/en/")).text
    assert "/en/link/" in overview
    link = (await console.get("/en/link/deed-tax")).text
    assert "The answer is not late." in link
    civil = (await console.get("/en/link/deed-civil")).text
    assert "Decision 12 of the council" in civil
    assert "It is replaced in the next register." in civil


async def test_a_round_is_quoted_and_not_filled_in(console: Console) -> None:
    """What was not stated stays so."""
    page = (await console.get("/en/rounds")).text
    assert page.count("not stated") >= 4
    assert "Nobody We Know" in page
    assert "In the order announced, which is no ranking." in page


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (
            "en",
            (
                "more than ",
                "Transparent government",
                "Agencies named at the bottom",
                "[1] <bdi><bdi>iribnews.ir, news 5673814",
            ),
        ),
        ("fa", ("بیش از ", "دولت شفاف", "ضعیف‌ترین", "[۱] <bdi><bdi>iribnews.ir, news 5673814")),
    ],
)
async def test_each_round_has_the_dimensions_of_its_model_and_its_sources(
    api: Any, make_console: Any, tmp_path: Path, code: str, expected: tuple[str, ...]
) -> None:
    """The newest round lists the four axes of its own model, none scored, and figures refer to their sources."""
    api.take_register(load_register(write_register(tmp_path / "known", evaluation_rounds_yaml=KNOWN_ROUNDS)))
    console = await make_console()
    page = (await console.get(f"/{code}/rounds")).text
    for words in expected:
        assert words in page, words
    newest = page[page.index('id="round-12"') : page.index('id="round-6"')]
    assert newest.count('<th scope="row">') == 4
    assert '<data value="107' in newest
    assert "Integration of services" not in newest
    assert '<sup class="soft">' in newest
    assert {"en": ">50.19%<", "fa": ">۵۰٫۱۹٪<"}[code] in page  # as announced, to the last digit


async def test_news_are_sorted_and_written_from_markdown(console: Console) -> None:
    """What is in force comes first; updates follow, the newest first."""
    page = (await console.get("/en/news")).text
    assert page.index("Late answers") < page.index("The data bus is upgraded")
    assert "<em>late</em>" in page
    assert page.index("Done.") < page.index("Half is done.")
    persian = (await console.get("/fa/news")).text
    assert "ارتقای گذرگاه داده" in persian


async def test_news_name_inquiries_as_people_do(api: Any, make_console: Any, tmp_path: Path) -> None:
    """An inquiry that an announcement or announced work touches is named by its service and agencies, with its id as a detail."""
    work = "subject,from,to,note\ndeed-civil,2026-09-21T10:00:00Z,2099-01-01T00:00:00Z,moves\n"
    api.take_register(
        load_register(write_register(tmp_path / "works", announcements_yaml=ANNOUNCEMENTS, maintenance_csv=work))
    )
    console = await make_console()
    english = await _text_of(console, "/en/news")
    assert "Inquiries affected: Title deed Land Registry asks Tax Office · Tax clearance · deed-tax" in english
    assert "Title deed Land Registry asks Civil Registry · Civil status · deed-civil 21 September 2026" in english
    persian = await _text_of(console, "/fa/news")
    assert "سند مالکیت سازمان ثبت اسناد از سازمان امور مالیاتی استعلام می‌گیرد" in persian
    public = await make_console(audience="public")
    assert "Inquiries affected" not in await _text_of(public, "/en/news")
    assert "SUMMARY:Title deed\r\n" in (await console.get("/feeds/en.ics")).text


async def test_search_finds_names_as_the_register_folds_them(console: Console) -> None:
    """Arabic letters and digits make no difference, and nothing found is said."""
    assert "سازمان امور مالیاتی" in (await console.get("/fa/search?q=مالياتي")).text
    assert "Nothing has" in (await console.get("/en/search?q=zzzz")).text


async def test_a_sector_that_is_found_is_named_and_leads_to_its_agencies(console: Console) -> None:
    """What stands for a sector in the register is no word of a page."""
    page = (await console.get("/en/search?q=econom")).text
    assert '<a href="/en/agencies?sector=economy" dir="auto">Economy and finance</a>' in page


async def test_the_monitor_page_shows_vantages_and_streams(make_console, api) -> None:
    """Everybody sees what each vantage delivered and what streams hold, not all why; before a report there is a sentence."""
    public = await make_console(audience="public")
    text = await _text_of(public, "/en/monitor")
    assert "north 99.0% 570 576 16 " in text
    assert "cut off" not in text
    console = await make_console()
    text = await _text_of(console, "/en/monitor")
    assert "north 99.0% 570 576 the vantage itself was cut off: 16" in text
    assert "MEASUREMENTS 4,000 3.1 MB 1.1 GB 3 2 1" in text
    assert "KV_indicator 90 0.0 MB" in text
    government = blocks_of(api.register)["government"]
    api.take("government", replace(government, monitoring=None))
    await console.refresh()
    text = await _text_of(await make_console(), "/en/monitor")
    assert "has not reported yet" in text
    assert "MEASUREMENTS" not in text


async def test_an_agency_page_lists_announced_work(make_console, api, tmp_path) -> None:
    """Work announced for the agency that is not over is on its page for everybody, that of others and of its links is not."""
    day = "2026-09-2"  # AS_OF is on the 21st
    rows = f"subject,from,to,note\ntax-office,{day}0,{day}9,new switches\ntax-office,2026-01-01,2026-01-02,long over\n"
    rows += f"customs,{day}0,{day}9,of the customs\ndeed-tax,{day}0,{day}9,of one link\n"
    api.take_register(load_register(write_register(tmp_path / "worked", maintenance_csv=rows)))
    console = await make_console(audience="public")
    page = (await console.get("/en/agency/tax-office")).text
    assert "new switches" in page
    assert [note for note in ("long over", "of the customs", "of one link") if note in page] == []


async def test_the_overview_lists_announcements_in_force(console: Console) -> None:
    """What is going on is on the first page, in its language; what is over is not."""
    english, persian = await _text_of(console, "/en/"), await _text_of(console, "/fa/")
    assert "Announcements in force Incident Late answers" in english
    assert "اطلاعیه‌های جاری اختلال پاسخ‌های دیر" in persian
    assert "The data bus is upgraded" not in english
    assert "/en/news#late-answers" in (await console.get("/en/")).text


async def test_the_share_of_inquiries_with_a_legal_basis_is_published(console: Console) -> None:
    """Two of the eight links state one; the link's page shows it, with Latin words in Persian isolated."""
    assert "Of them with a stated legal basis 25.0%" in await _text_of(console, "/en/monitor")


@pytest.mark.parametrize(
    "path", ["/", "/agency/tax-office", "/matrix/land-registry/tax-office", "/structure", "/rounds"]
)
async def test_every_chart_stands_beside_the_same_numbers(console: Console, path: str) -> None:
    """What bars, waterfalls and scales write is in the table or the key of their figure; a trend has a row for each point."""
    page = (await console.get(f"/en{path}")).text
    figures = re.findall(r"<figure.*?</figure>", page, re.DOTALL)
    assert len(figures) == page.count('role="img"') > 0
    for figure in figures:
        beside = {one.lstrip("−") for one in re.findall(r"<data[^>]*>([^<]*)</data>", figure)} | {"100", "not stated"}
        drawn = re.findall(r'<text[^>]*class="value"[^>]*>([^<]*)</text>', figure)
        assert {one.lstrip("−").rstrip("%") for one in drawn} <= beside, figure
        lines = re.findall(r'<path d="([^"]*)" class="line"', figure)
        if 'class="chart trend"' in figure:
            assert sum(len(re.findall("[ML]", line)) for line in lines) == figure.count("<tr>") - 1
        else:
            assert drawn


async def test_a_service_page_says_what_each_inquiry_is_now(console: Console, api: Api) -> None:
    """The verdict and reason of its newest slot, and since when; nothing where no slot is in force."""
    first = AS_OF // 300 // 64 * 64
    cells = {("deed-tax", slot, "north"): (Outcome.OK, Reason.OK) for slot in range(first, first + 10)}
    cells |= {
        ("deed-tax", slot, "north"): (Outcome.NOT_CONNECTED, Reason.CONNECT_REFUSED)
        for slot in range(first + 10, first + 64)
    }
    block = slot_block_of(api.register, "land-registry", first // 64, cells)
    api.bucket.values[f"slot.land-registry.{first // 64}"] = encode_slot_block(block)
    text = await _text_of(console, "/en/service/title-deed")
    assert "Now: Not connected , the connection was refused since 21 September 2026" in text.replace(
        "connected,", "connected ,"
    )
    assert "اکنون: متصل نشد" in await _text_of(console, "/fa/service/title-deed")


async def test_an_agency_page_lists_its_certificates_that_expire(console: Console, api: Api, make_console: Any) -> None:
    """One row for each certificate of the agency that answers, for readers who see links."""
    taken = replace(blocks_of(api.register)["consumer.land-registry"], certificates=(("deed-tax", AS_OF + 86400),))
    api.take("consumer.land-registry", taken)
    text = await _text_of(console, "/en/agency/tax-office")
    assert (
        "Its certificates that expire within three weeks Certificate valid until Inquiries For example 22 September"
        in text
    )
    assert "expire within" not in await _text_of(console, "/en/agency/land-registry")
    assert "expire within" not in await _text_of(await make_console(audience="public"), "/en/agency/tax-office")


async def test_an_agency_page_takes_one_call_of_the_api(console: Console, api: Api) -> None:
    """However much is on it, the console makes one call; a second reader costs none."""
    methods = [one.name for one in indicator_service_pb2.DESCRIPTOR.services_by_name["IndicatorService"].methods]
    methods += [one.name for one in register_service_pb2.DESCRIPTOR.services_by_name["RegisterService"].methods]
    before = {method: api.counted(method, "OK") for method in methods}
    for _ in range(2):
        assert (await console.get("/en/agency/land-registry")).status_code == 200
    made = {method: api.counted(method, "OK") - before[method] for method in methods}
    assert {method: calls for method, calls in made.items() if calls} == {"GetAgency": 1}


async def test_an_agency_page_lists_the_worst_inquiries_first(console: Console, monkeypatch: Any) -> None:
    """Only so many, with how many more there are, unless the address asks for all; a switch of language keeps that."""
    monkeypatch.setattr(agency, "_FIRST_LINKS", 1)
    page = (await console.get("/en/agency/land-registry")).text
    assert "3</data> more inquiries with a higher index are not listed here." in page
    assert "/en/link/transfer-customs" in page
    assert 'href="/en/agency/land-registry?links=all"' in page
    every = (await console.get("/en/agency/land-registry?links=all")).text
    assert "not listed here" not in every
    assert all(f"/en/link/{link}" in every for link in ("deed-civil", "deed-tax", "transfer-civil", "transfer-customs"))
    assert 'href="/language/fa/agency/land-registry?links=all"' in every


async def test_a_trend_ends_with_the_index_as_it_is_now(console: Console, api: Api) -> None:
    """Hourly records may be an hour old: the last point of a trend is the number that the page shows."""
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


@pytest.mark.parametrize("code", LANGUAGES)
async def test_a_link_page_has_the_days_that_the_archive_sealed(
    api: Api, make_console: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, code: str
) -> None:
    """The chart goes back over the sealed days and up to now, and its table has the same numbers; a reader may choose the span."""
    found = api.state.model.find(IndicatorKind.LINK, "deed-tax", 28)
    assert found is not None
    now = figure_of(found.message)
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
    """Where no archive keeps days, and where one cannot be read or not in time, the evidence is shown and the page says so."""
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


async def test_the_monitor_page_tells_no_report_from_no_answer(console: Console, monkeypatch: Any) -> None:
    """When the api cannot be read, the page is not made without the vantages as if there were no report."""

    async def silent(_: Client) -> None:
        raise ApiUnavailableError("the api does not answer")

    monkeypatch.setattr(Client, "monitoring", silent)
    assert (await console.get("/en/monitor")).status_code == 503
