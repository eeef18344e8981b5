"""Search over a real gRPC server."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import grpc
import pytest

from peyvand.v1 import indicator_pb2
from peyvand.v1 import register_service_pb2 as messages
from services.api.answers import search as searching
from services.register.directory.load import load_register
from tests.support.registers import LINKS, write_register
from tests.support.waiting import HeldCalls, eventually

_LABELS = {
    indicator_pb2.INDICATOR_KIND_SECTOR: "sector",
    indicator_pb2.INDICATOR_KIND_CONSUMER: "agency",
    indicator_pb2.INDICATOR_KIND_SERVICE: "service",
    indicator_pb2.INDICATOR_KIND_LINK: "link",
}


async def search(api, query, **more):
    answer = await api.registers.Search(messages.SearchRequest(query=query, **more))
    return [(_LABELS[result.kind], result.id) for result in answer.results]


@pytest.mark.parametrize(
    ("query", "first"),
    [
        ("Tax Office", ("agency", "tax-office")),
        ("tax-office", ("agency", "tax-office")),
        ("  OFFICE  tax ", ("agency", "tax-office")),
        ("سازمان ثبت احوال", ("agency", "civil-registry")),
        ("ثبت‌احوال", ("agency", "civil-registry")),
        ("سازمان امور مالياتي", ("agency", "tax-office")),
        ("economy", ("sector", "economy")),
        ("مجوز", ("service", "import-permit")),
        ("deed-tax", ("link", "deed-tax")),
        ("liens", ("link", "transfer-customs")),
    ],
)
async def test_what_is_meant_comes_first(api, query, first):
    """Names in both languages and ids are found, whatever the case, spaces, letters and joiners they are typed with."""
    assert (await search(api, query))[0] == first


async def test_what_a_link_asks_for_is_no_closer_than_a_word_of_a_name(api, tmp_path):
    """An agency with the query in its name comes before the links whose data item begins with it."""
    links = LINKS.format(base="http://127.0.0.1:7500").replace(",liens,", ",office-lease,")
    api.take_register(load_register(write_register(tmp_path / "leases", links_csv=links)))
    assert await search(api, "office") == [("agency", "tax-office"), ("link", "transfer-customs")]


@pytest.mark.parametrize("query", ["GetPersonData", "getpersondata", "v2 getperson"])
async def test_what_a_link_asks_for_is_found_in_any_case(api, tmp_path, query):
    """A data item is kept as the register writes it, and found however it is typed."""
    links = LINKS.format(base="http://127.0.0.1:7500").replace(",liens,", ",GetPersonData-v2,")
    api.take_register(load_register(write_register(tmp_path / "items", links_csv=links)))
    assert await search(api, query) == [("link", "transfer-customs")]


async def test_closer_results_come_first(api):
    """Texts that begin with the query come first, then words that do, then other matches; then kinds, then ids."""
    assert await search(api, "tit") == [
        ("service", "title-deed"),
        ("service", "title-transfer"),
        ("link", "clearance-land"),
    ]
    assert await search(api, "customs") == [
        ("agency", "customs"),
        ("link", "clearance-customs"),
        ("link", "transfer-customs"),
    ]


async def test_results_say_what_they_are(api):
    """A service comes with its agency, a link with its service's names, its agencies and its data item."""
    (service,) = (await api.registers.Search(messages.SearchRequest(query="Import permit"))).results
    assert (service.name_en, service.name_fa, service.agency) == ("Import permit", "مجوز واردات", "customs")
    (link,) = (await api.registers.Search(messages.SearchRequest(query="transfer civil"))).results
    assert (link.name_en, link.agency, link.provider, link.data_item) == (
        *("Title transfer", "land-registry"),
        *("civil-registry", "civil-status"),
    )


async def test_results_come_in_pages(api):
    """Pages follow each other without gap or repetition."""
    everything = await search(api, "t")
    first = await api.registers.Search(messages.SearchRequest(query="t", page_size=3))
    rest = await search(api, "t", page_size=100, page_token=first.next_page_token)
    assert [(_LABELS[result.kind], result.id) for result in first.results] + rest == everything
    assert len(everything) > 3


async def test_another_register_is_searched_at_once(api, tmp_path):
    """Cached texts are those of the register in force."""
    assert await search(api, "harbour") == []
    api.take_register(_renamed(api.register))
    assert await search(api, "harbour") == [("agency", "customs")]


async def test_texts_outlive_the_caller_who_gave_up(api, monkeypatch):
    """The texts of a register are folded to the end although the only search is cancelled, and once for all searches."""
    with HeldCalls(searching._texts) as held:
        monkeypatch.setattr(searching, "_texts", held)
        first = api.registers.Search(messages.SearchRequest(query="tax"))
        await eventually(lambda: held.made, "the texts are folded")
        first.cancel()
        await eventually(lambda: api.counted("Search", "CANCELLED"), "the search is cancelled")
        others = [asyncio.create_task(search(api, "tax-office")) for _ in range(3)]
        await asyncio.sleep(0)
    assert all(found[0] == ("agency", "tax-office") for found in await asyncio.gather(*others))
    assert held.made == 1


def _renamed(register):
    customs = replace(register.agencies["customs"], name_en="Harbour Master")
    return replace(register, agencies={**register.agencies, "customs": customs})


async def test_links_are_limited(api, monkeypatch):
    """Of many links that match only some are found, so that no query takes long to answer."""
    monkeypatch.setattr(searching, "MOST_LINKS", 2)
    assert [kind for kind, _ in await search(api, "t")].count("link") == 2


@pytest.mark.parametrize("query", ["", "  ", "\N{ZERO WIDTH NON-JOINER}", "-", "x" * 201])
async def test_a_query_without_words_is_refused(api, refusal, query):
    """A query with nothing to look for, or longer than any name, is refused."""
    code, info, _ = await refusal(api.registers.Search(messages.SearchRequest(query=query)))
    assert (code, info.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "QUERY_INVALID")


@pytest.mark.parametrize("query", ["<script>", "%", "\\", "\N{RIGHT-TO-LEFT OVERRIDE}", "\x00", "😀", "[a-z"])
async def test_a_hostile_query_finds_nothing(api, query):
    """Every query is plain text, so there is nothing to escape from."""
    assert await search(api, query) == []
