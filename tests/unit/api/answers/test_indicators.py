"""GetIndicator and ListIndicators over a real gRPC server, with their errors."""

from __future__ import annotations

import dataclasses
from datetime import date

import grpc
import pytest

from peyvand.v1 import indicator_pb2
from peyvand.v1 import indicator_service_pb2 as messages
from services.core.model.indicator import IndicatorKind
from services.register.directory.load import load_register
from tests.support.cases.api.blocks import AS_OF, blocks_of
from tests.support.registers import write_register

INVALID = grpc.StatusCode.INVALID_ARGUMENT
NOT_FOUND = grpc.StatusCode.NOT_FOUND


async def test_the_government_is_the_default(api):
    """Kind government without id and window returns the policy's government over its default window."""
    answer = await api.indicators.GetIndicator(
        messages.GetIndicatorRequest(kind=indicator_pb2.INDICATOR_KIND_GOVERNMENT)
    )
    indicator = answer.indicator
    assert (indicator.id, indicator.window_days, indicator.as_of.seconds) == ("country", 28, AS_OF)
    assert indicator.lower <= indicator.point <= indicator.upper
    assert indicator.register_version == api.register.register_version
    assert indicator.links_required == 8
    assert indicator.links_absent == 1
    assert api.counted("GetIndicator", "OK") == 1


async def test_every_published_indicator_is_got_by_its_name(api):
    """Every indicator of the blocks, of every kind and window, is returned exactly as published."""
    for block in blocks_of(api.register).values():
        for row in block.indicators:
            request = messages.GetIndicatorRequest(kind=row.kind, id=row.id, window_days=row.window_days)
            got = (await api.indicators.GetIndicator(request)).indicator
            assert (got.kind, got.id, got.window_days, got.point) == (row.kind, row.id, row.window_days, row.point)
            assert got.HasField("strict") == (row.strict is not None)


async def test_a_newer_block_replaces_the_answer(api):
    """A cached answer is dropped with its block."""
    request = messages.GetIndicatorRequest(kind=indicator_pb2.INDICATOR_KIND_LINK, id="deed-tax")
    assert (await api.indicators.GetIndicator(request)).indicator.point == 0.9
    api.take_blocks(ok={"deed-tax": 40}, as_of=AS_OF + 300)
    got = (await api.indicators.GetIndicator(request)).indicator
    assert (got.point, got.as_of.seconds) == (0.4, AS_OF + 300)


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"kind": 0}, (INVALID, "KIND_UNKNOWN", {"kind": "0"})),
        ({"kind": 99}, (INVALID, "KIND_UNKNOWN", {"kind": "99"})),
        ({"kind": IndicatorKind.LINK}, (INVALID, "ID_MISSING", {})),
        (
            {"kind": IndicatorKind.GOVERNMENT, "window_days": 9},
            (INVALID, "WINDOW_UNKNOWN", {"window_days": "9", "windows_days": "7, 28, 90"}),
        ),
        ({"kind": IndicatorKind.GOVERNMENT, "id": "other"}, (NOT_FOUND, "GOVERNMENT_UNKNOWN", {"government": "other"})),
        ({"kind": IndicatorKind.SECTOR, "id": "no"}, (NOT_FOUND, "SECTOR_UNKNOWN", {"sector": "no"})),
        ({"kind": IndicatorKind.CONSUMER, "id": "no"}, (NOT_FOUND, "AGENCY_UNKNOWN", {"agency": "no"})),
        ({"kind": IndicatorKind.PROVIDER, "id": "no"}, (NOT_FOUND, "AGENCY_UNKNOWN", {"agency": "no"})),
        ({"kind": IndicatorKind.SERVICE, "id": "no"}, (NOT_FOUND, "SERVICE_UNKNOWN", {"service": "no"})),
        ({"kind": IndicatorKind.LINK, "id": "no"}, (NOT_FOUND, "LINK_UNKNOWN", {"link": "no"})),
        ({"kind": IndicatorKind.ENDPOINT, "id": "no"}, (NOT_FOUND, "ENDPOINT_UNKNOWN", {"endpoint": "no"})),
    ],
)
async def test_what_cannot_be_is_refused_by_name(api, refusal, asked, expected):
    """Unknown kinds, windows and entities have their status, a constant reason and the entity's name."""
    code, reason, metadata = expected
    got, info, sentence = await refusal(api.indicators.GetIndicator(messages.GetIndicatorRequest(**asked)))
    assert (got, info.reason) == (code, reason)
    assert metadata.items() <= dict(info.metadata).items()
    assert all(value in sentence for value in metadata.values() if value != api.register.register_version)
    assert api.counted("GetIndicator", code.name) == 1


async def test_before_anything_is_published_the_answer_is_unavailable(empty_api, refusal):
    """Without a register every call is UNAVAILABLE; with it, known entities are UNAVAILABLE and unknown ones NOT_FOUND."""
    ask = empty_api.indicators.GetIndicator
    link = messages.GetIndicatorRequest(kind=indicator_pb2.INDICATOR_KIND_LINK, id="deed-tax")
    code, info, _ = await refusal(ask(link))
    assert (code, info.reason) == (grpc.StatusCode.UNAVAILABLE, "REGISTER_UNPUBLISHED")
    empty_api.take_register()
    code, info, _ = await refusal(ask(link))
    assert (code, info.reason) == (grpc.StatusCode.UNAVAILABLE, "INDICATOR_UNPUBLISHED")
    assert dict(info.metadata) == {"kind": "link", "id": "deed-tax", "window_days": "28"}
    code, info, _ = await refusal(ask(messages.GetIndicatorRequest(kind=indicator_pb2.INDICATOR_KIND_LINK, id="no")))
    assert code == NOT_FOUND
    code, info, _ = await refusal(
        empty_api.indicators.ListIndicators(messages.ListIndicatorsRequest(kind=indicator_pb2.INDICATOR_KIND_LINK))
    )
    assert (code, info.reason) == (grpc.StatusCode.UNAVAILABLE, "INDICATOR_UNPUBLISHED")


async def test_what_never_has_an_indicator_says_so(empty_api, refusal, tmp_path):
    """A service without a required link is N/A. No retry changes that: FAILED_PRECONDITION, not UNAVAILABLE."""
    services = ("import-permit,", "tourism,customs,Tourism,گردشگری,,\nimport-permit,")
    empty_api.register = load_register(write_register(tmp_path / "more", services_csv=services))
    empty_api.take_register()
    empty_api.take_blocks()
    request = messages.GetIndicatorRequest(kind=indicator_pb2.INDICATOR_KIND_SERVICE, id="tourism")
    code, info, sentence = await refusal(empty_api.indicators.GetIndicator(request))
    assert (code, info.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "NOT_APPLICABLE")
    assert "`tourism`" in sentence


async def test_a_first_refresh_that_is_not_whole_is_no_answer(empty_api, refusal):
    """While only the agencies' blocks exist, the government is UNAVAILABLE and not N/A."""
    empty_api.take_register()
    for key, block in blocks_of(empty_api.register).items():
        if key != "government":
            empty_api.take(key, block)
    request = messages.GetIndicatorRequest(kind=indicator_pb2.INDICATOR_KIND_GOVERNMENT)
    code, info, _ = await refusal(empty_api.indicators.GetIndicator(request))
    assert (code, info.reason) == (grpc.StatusCode.UNAVAILABLE, "INDICATOR_UNPUBLISHED")


async def test_without_a_link_in_force_no_call_asks_to_retry(empty_api, refusal):
    """Where no link of the register is in force, no retry changes that there is no index."""
    links = empty_api.register.links.items()
    ended = {name: dataclasses.replace(link, required_until=date(2020, 1, 1)) for name, link in links}
    blocks = blocks_of(empty_api.register)
    empty_api.take_register(dataclasses.replace(empty_api.register, links=ended))
    empty_api.take("consumer.customs", blocks["consumer.customs"])
    stub, government = empty_api.indicators, indicator_pb2.INDICATOR_KIND_GOVERNMENT
    for call in (
        stub.GetIndicator(messages.GetIndicatorRequest(kind=government)),
        stub.GetStructure(messages.GetStructureRequest()),
        stub.ListPairs(messages.ListPairsRequest()),
        stub.TabulateIndicators(
            messages.TabulateIndicatorsRequest(attribute=messages.TABULATED_ATTRIBUTE_SECTOR, window_days=28)
        ),
        stub.GetTraffic(messages.GetTrafficRequest()),
        stub.GetMonitoring(messages.GetMonitoringRequest()),
        stub.ListFindings(messages.ListFindingsRequest()),
    ):
        code, info, _ = await refusal(call)
        assert (code, info.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "NOT_APPLICABLE")
    assert not (await stub.ListIndicators(messages.ListIndicatorsRequest(kind=government))).indicators


async def test_what_is_out_of_force_says_so(api, refusal):
    """A link that is missing in a complete refresh is not in force: FAILED_PRECONDITION as well."""
    block = blocks_of(api.register)["consumer.customs"]
    rows = tuple(row for row in block.indicators if row.kind != IndicatorKind.LINK)
    api.take("consumer.customs", type(block)(rows, block.links, block.exchanges))
    request = messages.GetIndicatorRequest(kind=indicator_pb2.INDICATOR_KIND_LINK, id="permit-tax")
    code, info, _ = await refusal(api.indicators.GetIndicator(request))
    assert (code, info.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "NOT_APPLICABLE")


async def test_a_deleted_block_takes_its_indicators_with_it(api, refusal):
    """After a block is deleted its entities are unpublished again."""
    api.take("consumer.customs", None)
    request = messages.GetIndicatorRequest(kind=indicator_pb2.INDICATOR_KIND_LINK, id="permit-tax")
    assert (await refusal(api.indicators.GetIndicator(request)))[0] != grpc.StatusCode.OK
    listed = await api.indicators.ListIndicators(
        messages.ListIndicatorsRequest(kind=indicator_pb2.INDICATOR_KIND_CONSUMER)
    )
    assert [one.id for one in listed.indicators] == ["civil-registry", "land-registry", "tax-office"]


@pytest.mark.parametrize(
    ("kind", "sector", "expected"),
    [
        (IndicatorKind.GOVERNMENT, "", ["country"]),
        (IndicatorKind.SECTOR, "", ["economy", "justice"]),
        (IndicatorKind.CONSUMER, "", ["civil-registry", "customs", "land-registry", "tax-office"]),
        (IndicatorKind.CONSUMER, "justice", ["civil-registry", "land-registry"]),
        (IndicatorKind.PROVIDER, "economy", ["customs", "tax-office"]),
        (IndicatorKind.SERVICE, "economy", ["import-permit", "tax-clearance"]),
        (IndicatorKind.LINK, "economy", ["clearance-customs", "clearance-land", "permit-tax"]),
        (IndicatorKind.ENDPOINT, "", []),
    ],
)
async def test_lists_are_of_one_kind_and_sector_in_id_order(api, kind, sector, expected):
    """Each kind lists its published indicators; the sector is the consumer's for links and services, else the agency's own."""
    answer = await api.indicators.ListIndicators(
        messages.ListIndicatorsRequest(kind=indicator_pb2.IndicatorKind.ValueType(kind), sector=sector)
    )
    assert [one.id for one in answer.indicators] == expected
    assert {one.window_days for one in answer.indicators} <= {28}
    assert answer.next_page_token == ""


async def test_services_of_one_agency_are_listed(api):
    """Services are listed in id order, in pages."""
    request = messages.ListIndicatorsRequest(
        kind=indicator_pb2.IndicatorKind.ValueType(IndicatorKind.SERVICE), agency="land-registry", page_size=1
    )
    first = await api.indicators.ListIndicators(request)
    request.page_token = first.next_page_token
    second = await api.indicators.ListIndicators(request)
    assert [one.id for one in (*first.indicators, *second.indicators)] == ["title-deed", "title-transfer"]
    assert not second.next_page_token


@pytest.mark.parametrize(
    ("asked", "code", "reason"),
    [
        ({"kind": IndicatorKind.LINK, "sector": "no"}, NOT_FOUND, "SECTOR_UNKNOWN"),
        ({"kind": IndicatorKind.GOVERNMENT, "sector": "justice"}, INVALID, "FILTER_NOT_APPLICABLE"),
        ({"kind": IndicatorKind.LINK, "agency": "customs"}, INVALID, "FILTER_NOT_APPLICABLE"),
        ({"kind": IndicatorKind.SERVICE, "agency": "customs", "sector": "economy"}, INVALID, "FILTER_NOT_APPLICABLE"),
        ({"kind": IndicatorKind.SERVICE, "agency": "no"}, NOT_FOUND, "AGENCY_UNKNOWN"),
        ({"kind": IndicatorKind.LINK, "page_token": "what?"}, INVALID, "PAGE_TOKEN_INVALID"),
        ({"kind": IndicatorKind.LINK, "page_token": "سلام"}, INVALID, "PAGE_TOKEN_INVALID"),
        ({"kind": 0}, INVALID, "KIND_UNKNOWN"),
        ({"kind": IndicatorKind.LINK, "window_days": 1}, INVALID, "WINDOW_UNKNOWN"),
    ],
)
async def test_lists_refuse_what_they_cannot_do(api, refusal, asked, code, reason):
    """Bad kinds, filters, windows and tokens have their status and reason."""
    got, info, _ = await refusal(api.indicators.ListIndicators(messages.ListIndicatorsRequest(**asked)))
    assert (got, info.reason) == (code, reason)


async def test_pages_go_on_across_refreshes(api, refusal):
    """After blocks change, a token continues after the last id, and only for its own query."""
    ask = api.indicators.ListIndicators
    first = await ask(messages.ListIndicatorsRequest(kind=indicator_pb2.INDICATOR_KIND_LINK, page_size=3))
    assert [one.id for one in first.indicators] == ["birth-tax", "clearance-customs", "clearance-land"]
    api.take("consumer.tax-office", None)
    api.take_blocks(as_of=AS_OF + 300)
    api.take("consumer.civil-registry", None)
    rest = await ask(
        messages.ListIndicatorsRequest(kind=indicator_pb2.INDICATOR_KIND_LINK, page_token=first.next_page_token)
    )
    assert [one.id for one in rest.indicators] == [
        *("deed-civil", "deed-tax", "permit-tax", "transfer-civil", "transfer-customs")
    ]
    other = messages.ListIndicatorsRequest(
        kind=indicator_pb2.INDICATOR_KIND_LINK, window_days=7, page_token=first.next_page_token
    )
    code, info, _ = await refusal(ask(other))
    assert (code, info.reason) == (INVALID, "PAGE_TOKEN_INVALID")


async def test_a_fault_of_ours_is_internal_and_says_no_more(api, refusal, monkeypatch):
    """An unexpected exception is INTERNAL with ErrorInfo, without internal details."""

    def explode(*_):
        raise KeyError("a secret of ours")

    monkeypatch.setattr(api.state.model, "get", explode)
    code, info, sentence = await refusal(
        api.indicators.GetIndicator(messages.GetIndicatorRequest(kind=indicator_pb2.INDICATOR_KIND_GOVERNMENT))
    )
    assert (code, info.reason) == (grpc.StatusCode.INTERNAL, "INTERNAL")
    assert "secret" not in sentence
