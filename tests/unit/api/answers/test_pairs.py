"""ListPairs over a real gRPC server."""

from __future__ import annotations

import asyncio

import grpc
import pytest

from peyvand.v1 import indicator_service_pb2 as messages
from services.api.answers import PairAnswers, WindowEvidenceCache
from services.api.answers import pairs as pair_answers
from tests.support.cases.api.blocks import AS_OF, blocks_of
from tests.support.waiting import HeldCalls, eventually

AGENCIES = {
    ("civil-registry", "tax-office"): (1, 0),
    ("customs", "tax-office"): (1, 0),
    ("land-registry", "civil-registry"): (2, 0),
    ("land-registry", "customs"): (1, 1),
    ("land-registry", "tax-office"): (1, 0),
    ("tax-office", "customs"): (1, 0),
    ("tax-office", "land-registry"): (1, 0),
}
"""Pairs of the test register, with how many links are in force and how many of these are absent."""


async def pairs(api, **filters):
    return await api.indicators.ListPairs(messages.ListPairsRequest(**filters))


async def test_pairs_of_agencies_are_listed_with_their_index(api):
    """Each pair comes once, in order, with its index, losses and link counts. The answer has the refresh's versions."""
    answer = await pairs(api)
    found = {(pair.consumer, pair.provider): pair for pair in answer.pairs}
    assert list(found) == list(AGENCIES)
    assert {name: (pair.index.links, pair.links_absent) for name, pair in found.items()} == AGENCIES
    assert all(pair.links_known == pair.index.links for pair in found.values())
    civil = found["land-registry", "civil-registry"]
    assert civil.index.point == pytest.approx(0.9)
    assert (civil.index.lower, civil.index.upper, civil.index.known_share) == pytest.approx((0.9, 0.9, 1.0))
    assert civil.losses.late == pytest.approx(0.1)
    paper = found["land-registry", "customs"]
    assert (paper.index.point, paper.losses.not_connected) == (0.0, 1.0)
    assert (answer.window_days, answer.as_of.seconds, answer.evidence_sequence) == (28, AS_OF, 7)
    assert (answer.register_version, answer.method_version) == (api.register.register_version, "1")


async def test_pairs_of_sectors_hold_those_within_a_sector(api):
    """Links are grouped by the sectors of consumer and provider, in this order."""
    answer = await pairs(api, level=messages.PAIR_LEVEL_SECTOR)
    assert [(pair.consumer, pair.provider, pair.index.links) for pair in answer.pairs] == [
        ("economy", "economy", 2),
        ("economy", "justice", 1),
        ("justice", "economy", 3),
        ("justice", "justice", 2),
    ]


@pytest.mark.parametrize(
    ("filters", "wanted"),
    [
        ({"consumer": "tax-office"}, lambda consumer, _: consumer == "tax-office"),
        ({"provider": "customs"}, lambda _, provider: provider == "customs"),
        ({"consumer": "land-registry", "provider": "customs"}, lambda *pair: pair == ("land-registry", "customs")),
        ({"consumer_sector": "economy"}, lambda consumer, _: consumer in ("customs", "tax-office")),
        ({"provider_sector": "justice"}, lambda _, provider: provider in ("civil-registry", "land-registry")),
    ],
)
async def test_filters_choose_pairs(api, filters, wanted):
    """Pairs are filtered by either agency or by the sector of either."""
    answer = await pairs(api, **filters)
    assert [(pair.consumer, pair.provider) for pair in answer.pairs] == [pair for pair in AGENCIES if wanted(*pair)]


async def test_pairs_come_in_pages(api):
    """Pages follow each other without gap or repetition, and a token belongs to its filters."""
    first = await pairs(api, page_size=4)
    rest = await pairs(api, page_size=4, page_token=first.next_page_token)
    assert [(pair.consumer, pair.provider) for pair in (*first.pairs, *rest.pairs)] == list(AGENCIES)
    assert not rest.next_page_token
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await pairs(api, consumer="customs", page_token=first.next_page_token)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_a_new_refresh_is_computed_again(api):
    """After newer blocks arrive, the pairs are computed from them."""
    before = await pairs(api, consumer="customs")
    api.take_blocks(as_of=AS_OF + 300, ok={"permit-tax": 40}, sequence=8)
    after = await pairs(api, consumer="customs")
    assert (before.pairs[0].index.point, after.pairs[0].index.point) == pytest.approx((0.9, 0.4))
    assert (after.as_of.seconds, after.evidence_sequence) == (AS_OF + 300, 8)


async def test_pairs_outlive_the_caller_who_gave_up(api, monkeypatch):
    """Pairs are computed to the end although their only caller is cancelled, and once for all callers after it."""
    answers = PairAnswers(api.state.model, WindowEvidenceCache(api.state.model))
    with HeldCalls(pair_answers._PairTable.of) as held:
        monkeypatch.setattr(pair_answers._PairTable, "of", held)
        first = asyncio.create_task(answers.answer(messages.ListPairsRequest()))
        await eventually(lambda: held.made, "the pairs are computed")
        first.cancel()
        await asyncio.wait({first})
        others = [asyncio.create_task(answers.answer(messages.ListPairsRequest())) for _ in range(3)]
        await asyncio.sleep(0)
    assert [len(answer.pairs) for answer in await asyncio.gather(*others)] == [len(AGENCIES)] * 3
    assert (first.cancelled(), held.made) == (True, 1)


async def test_what_there_is_not_is_refused(api, refusal):
    """Unknown levels, windows, agencies and sectors, and filters that do not apply, are refused with their reason."""
    for filters, code, reason in (
        ({"level": 9}, grpc.StatusCode.INVALID_ARGUMENT, "LEVEL_UNKNOWN"),
        ({"window_days": 5}, grpc.StatusCode.INVALID_ARGUMENT, "WINDOW_UNKNOWN"),
        ({"consumer": "nobody"}, grpc.StatusCode.NOT_FOUND, "AGENCY_UNKNOWN"),
        ({"provider_sector": "nowhere"}, grpc.StatusCode.NOT_FOUND, "SECTOR_UNKNOWN"),
        (
            {"level": messages.PAIR_LEVEL_SECTOR, "consumer": "customs"},
            grpc.StatusCode.NOT_FOUND,
            "SECTOR_UNKNOWN",
        ),
        (
            {"level": messages.PAIR_LEVEL_SECTOR, "consumer_sector": "economy"},
            grpc.StatusCode.INVALID_ARGUMENT,
            "FILTER_NOT_APPLICABLE",
        ),
    ):
        found, info, _ = await refusal(pairs(api, **filters))
        assert (found, info.reason) == (code, reason)


async def test_without_an_index_there_are_no_pairs(empty_api, refusal):
    """Before a register and before a first index, the call is UNAVAILABLE."""
    code, info, _ = await refusal(pairs(empty_api))
    assert (code, info.reason) == (grpc.StatusCode.UNAVAILABLE, "REGISTER_UNPUBLISHED")
    empty_api.take_register()
    for key, block in blocks_of(empty_api.register).items():
        if key != "government":
            empty_api.take(key, block)
    code, info, _ = await refusal(pairs(empty_api))
    assert (code, info.reason) == (grpc.StatusCode.UNAVAILABLE, "INDICATOR_UNPUBLISHED")
