"""GetAgency over a real gRPC server: the answers of several calls in one."""

from __future__ import annotations

import grpc
import pytest

from peyvand.v1 import indicator_pb2, indicator_service_pb2_grpc, register_service_pb2, register_service_pb2_grpc
from peyvand.v1 import indicator_service_pb2 as messages
from services.api.model import read_model
from services.core.blocks import read
from services.core.blocks.compression import parse_block
from services.core.model import IndicatorKind
from services.register.directory.load import load_register
from tests.support.cases.api.blocks import blocks_of
from tests.support.cases.api.secured import OF_TAX
from tests.support.registers import write_register
from tests.support.waiting import DEADLINE

_KINDS = {
    "consumer": indicator_pb2.INDICATOR_KIND_CONSUMER,
    "provider": indicator_pb2.INDICATOR_KIND_PROVIDER,
}


@pytest.mark.parametrize("agency", ["tax-office", "land-registry", "civil-registry", "customs"])
async def test_an_agency_is_what_single_calls_say_of_it(api, refusal, agency):
    """GetAgency has the explanations, services, links and maintenance of other calls; the worst links come first."""
    whole = await api.indicators.GetAgency(messages.GetAgencyRequest(agency=agency, limit=3, links=100))
    for name, kind in _KINDS.items():
        role = getattr(whole, name)
        wanted = messages.ExplainIndicatorRequest(kind=kind, id=agency, limit=3)
        if role.HasField("explanation"):
            assert role.explanation == await api.indicators.ExplainIndicator(wanted)
        else:
            code, _, _ = await refusal(api.indicators.ExplainIndicator(wanted))
            assert code is grpc.StatusCode.FAILED_PRECONDITION
        listed = (await api.indicators.ListLinks(messages.ListLinksRequest(**{name: agency}))).links
        assert list(role.links) == sorted(listed, key=lambda one: (one.indicator.lower, one.link.id))
        assert role.link_count == len(listed)
    services = messages.ListIndicatorsRequest(kind=indicator_pb2.INDICATOR_KIND_SERVICE, agency=agency)
    assert whole.services == (await api.indicators.ListIndicators(services)).indicators
    registers = register_service_pb2_grpc.RegisterServiceStub(api.channel)
    work = await registers.ListMaintenance(register_service_pb2.ListMaintenanceRequest(subject=agency))
    assert whole.maintenance == work.maintenance


async def test_as_many_links_are_listed_as_are_asked_for(api):
    """As many links are listed as requested, none by default, and all are counted."""
    for links in (0, 1, 2):
        whole = await api.indicators.GetAgency(messages.GetAgencyRequest(agency="tax-office", links=links))
        assert (len(whole.provider.links), whole.provider.link_count) == (links, 3)


async def test_a_block_is_parsed_once_for_many_links(empty_api, tmp_path, monkeypatch):
    """Where few blocks stay parsed, links whose ids alternate between consumers are read one consumer after the other."""
    services = "title-deed", "import-permit", "birth-certificate"
    rows = [f"ask-{n:02},{services[n % 3]},tax-office,item-{n},always,page,http://127.0.0.1/" for n in range(60)]
    table = "\n".join(["id,service,provider,data_item,live_from,probe,target", *rows])
    register = load_register(write_register(tmp_path / "alternating", links_csv=f"{table}\n"))
    api = empty_api
    api.take_register(register)
    for key, block in blocks_of(register).items():
        api.take(key, block)
    parsed: list[object] = []

    def counted(*given):
        parsed.append(given)
        return parse_block(*given)

    monkeypatch.setattr(read_model, "_PARSED_ROWS", 1)
    monkeypatch.setattr(read, "parse_block", counted)
    for block in api.state.model.blocks.values():
        block.forget()
    listed = (await api.indicators.ListLinks(messages.ListLinksRequest(provider="tax-office"))).links
    assert [one.link.id for one in listed] == sorted(register.links)
    assert len(parsed) == len(services)
    parsed.clear()
    api.take_register(register)
    role = (await api.indicators.GetAgency(messages.GetAgencyRequest(agency="tax-office", links=9))).provider
    assert (len(role.links), role.link_count) == (9, 60)
    assert 0 < len(parsed) < 60
    parsed.clear()
    api.take_register(register)
    watch = api.indicators.WatchIndicators(
        messages.WatchIndicatorsRequest(kind=indicator_pb2.INDICATOR_KIND_LINK), timeout=DEADLINE
    )
    assert {(await watch.read()).indicator.id for _ in register.links} == set(register.links)
    assert 0 < len(parsed) <= len(services)
    watch.cancel()


async def test_only_the_links_in_the_answer_are_read_one_by_one(api):
    """The worst links are found by a column of each block; only theirs are read and kept as indicators."""
    whole = await api.indicators.GetAgency(messages.GetAgencyRequest(agency="tax-office", links=1))
    (consumer,), (provider,) = whole.consumer.links, whole.provider.links
    read_links = {entity for kind, entity, _ in api.state.model._requested if kind == IndicatorKind.LINK}
    assert read_links == {consumer.link.id, provider.link.id}
    every = (await api.indicators.ListLinks(messages.ListLinksRequest(provider="tax-office"))).links
    assert provider.link.id == min(every, key=lambda one: (one.indicator.lower, one.link.id)).link.id


@pytest.mark.parametrize(
    ("question", "reason"),
    [
        ({"agency": "no"}, "AGENCY_UNKNOWN"),
        ({"agency": ""}, "ID_MISSING"),
        ({"agency": "tax-office", "window_days": 5}, "WINDOW_UNKNOWN"),
        ({"agency": "tax-office", "links": 1001}, "LIMIT_TOO_LARGE"),
        ({"agency": "tax-office", "limit": 1001}, "LIMIT_TOO_LARGE"),
    ],
)
async def test_what_is_not_there_is_refused(api, refusal, question, reason):
    """Unknown agencies and windows, and more links than a page has, are refused with their reason."""
    _, info, _ = await refusal(api.indicators.GetAgency(messages.GetAgencyRequest(**question)))
    assert info.reason == reason


@pytest.mark.parametrize(
    ("name", "services", "links"),
    [
        ("anybody.example", set(), set()),
        ("nowhere.example", set(), set()),
        ("tax.example", {"tax-clearance"}, OF_TAX),
        ("audit.example", {"tax-clearance"}, OF_TAX),
    ],
)
async def test_a_caller_sees_of_an_agency_what_it_sees_elsewhere(secured, name, services, links):
    """The public sees the numbers of both roles and nothing below the agency."""
    async with secured.channel(name) as channel:
        stub = indicator_service_pb2_grpc.IndicatorServiceStub(channel)
        request = messages.GetAgencyRequest(agency="tax-office", limit=100, links=100)
        whole = await stub.GetAgency(request, timeout=DEADLINE)
    roles = whole.consumer, whole.provider
    assert all(role.explanation.indicator.id == "tax-office" for role in roles)
    assert {one.id for one in whole.services} == services
    assert {one.link.id for role in roles for one in role.links} == links
    assert sum(role.link_count for role in roles) == len(links)
    assert {cost.link.id for role in roles for cost in role.explanation.links} <= links


async def test_another_agency_shows_only_common_links(secured):
    """An agency sees only those links of another agency that connect the two."""
    async with secured.channel("tax.example") as channel:
        stub = indicator_service_pb2_grpc.IndicatorServiceStub(channel)
        request = messages.GetAgencyRequest(agency="land-registry", links=100)
        whole = await stub.GetAgency(request, timeout=DEADLINE)
    assert [one.link.id for one in whole.consumer.links] == ["deed-tax"]
    assert [one.link.id for one in whole.provider.links] == ["clearance-land"]
    assert (whole.consumer.link_count, whole.provider.link_count, len(whole.services)) == (1, 1, 0)
