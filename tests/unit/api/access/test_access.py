"""Roles by certificate over TLS, on a real server with certificates of our own."""

from __future__ import annotations

from typing import cast

import grpc
import grpc.aio
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

from peyvand.v1 import indicator_pb2
from peyvand.v1 import indicator_service_pb2 as messages
from peyvand.v1 import register_service_pb2 as register_messages
from services.api.access.roles import PUBLIC, RULES, UNRESTRICTED, Caller, Role
from services.api.model.register_view import RegisterView
from services.core.model.indicator import IndicatorKind
from tests.support.cases.api.looking import Stubs, looking_always
from tests.support.cases.api.secured import OF_TAX
from tests.support.waiting import DEADLINE

__all__ = ["looking_always"]  # fixtures


def _about(kind: IndicatorKind, entity: str) -> dict[str, object]:
    return {
        "GetIndicator": messages.GetIndicatorRequest(kind=indicator_pb2.IndicatorKind.ValueType(kind), id=entity),
        "ExplainIndicator": messages.ExplainIndicatorRequest(
            kind=indicator_pb2.IndicatorKind.ValueType(kind), id=entity
        ),
        "WatchIndicators": messages.WatchIndicatorsRequest(
            kind=indicator_pb2.IndicatorKind.ValueType(kind), ids=[entity]
        ),
    }


async def _rights(stubs: Stubs) -> dict[str, bool]:
    """Return whether each call is admitted, by its name."""
    questions = {
        "agency": _about(IndicatorKind.PROVIDER, "customs")["GetIndicator"],
        "own service": _about(IndicatorKind.SERVICE, "tax-clearance")["GetIndicator"],
        "other service": _about(IndicatorKind.SERVICE, "title-deed")["GetIndicator"],
        "link as provider": _about(IndicatorKind.LINK, "deed-tax")["GetIndicator"],
        "other link": _about(IndicatorKind.LINK, "deed-civil")["GetIndicator"],
        "own endpoint": _about(IndicatorKind.ENDPOINT, "portal")["GetIndicator"],
        "other endpoint": _about(IndicatorKind.ENDPOINT, "bus")["GetIndicator"],
    }
    found = {name: await stubs.sees("GetIndicator", request) for name, request in questions.items()}
    for name, link in (("link as provider", "deed-tax"), ("other link", "deed-civil")):
        assert await stubs.sees("GetLink", messages.GetLinkRequest(link=link)) == found[name]
        watch = _about(IndicatorKind.LINK, link)["WatchIndicators"]
        assert await stubs.sees("WatchIndicators", watch) == found[name]
    return found


async def test_the_public_sees_agencies_and_above(secured):
    """A certificate without a role sees the government, sectors and agencies, but nothing below them and no link."""
    async with secured.channel("anybody.example") as channel:
        stubs = Stubs(channel)
        rights = await _rights(stubs)
        assert [name for name, seen in rights.items() if seen] == ["agency"]
        for method, request in _about(IndicatorKind.GOVERNMENT, "country").items():
            assert await stubs.sees(method, request)
        explained = await stubs.indicators.ExplainIndicator(
            messages.ExplainIndicatorRequest(kind=indicator_pb2.INDICATOR_KIND_GOVERNMENT)
        )
        assert explained.providers
        assert not explained.links
        for method, request in (
            ("ListLinks", messages.ListLinksRequest()),
            ("ListServices", register_messages.ListServicesRequest()),
            ("ListIndicators", messages.ListIndicatorsRequest(kind=indicator_pb2.INDICATOR_KIND_LINK)),
            ("WatchIndicators", messages.WatchIndicatorsRequest(kind=indicator_pb2.INDICATOR_KIND_SERVICE)),
            ("GetHistory", messages.GetHistoryRequest(kind=indicator_pb2.INDICATOR_KIND_SERVICE, id="title-deed")),
        ):
            assert not await stubs.sees(method, request), method
        for method, request in (
            ("ListIndicators", messages.ListIndicatorsRequest(kind=indicator_pb2.INDICATOR_KIND_CONSUMER)),
            ("ListAgencies", register_messages.ListAgenciesRequest()),
            ("GetRegister", register_messages.GetRegisterRequest()),
            ("GetMonitoring", messages.GetMonitoringRequest()),
            ("TabulateIndicators", messages.TabulateIndicatorsRequest(attribute=messages.TABULATED_ATTRIBUTE_SECTOR)),
        ):
            assert await stubs.sees(method, request), method


async def test_an_agency_sees_its_own_besides(secured):
    """An agency sees its services and endpoints, and its links as consumer and as provider. Lists hold nothing else."""
    async with secured.channel("tax.example") as channel:
        stubs = Stubs(channel)
        rights = await _rights(stubs)
        assert {name for name, seen in rights.items() if not seen} == {"other service", "other link", "other endpoint"}
        links = await stubs.indicators.ListLinks(messages.ListLinksRequest())
        assert {one.link.id for one in links.links} == OF_TAX
        listed = await stubs.indicators.ListIndicators(
            messages.ListIndicatorsRequest(kind=indicator_pb2.INDICATOR_KIND_LINK)
        )
        assert {one.id for one in listed.indicators} == OF_TAX
        services = await stubs.registers.ListServices(register_messages.ListServicesRequest())
        assert [one.id for one in services.services] == ["tax-clearance"]
        explained = await stubs.indicators.ExplainIndicator(
            messages.ExplainIndicatorRequest(kind=indicator_pb2.INDICATOR_KIND_GOVERNMENT, limit=100)
        )
        assert {one.link.id for one in explained.links} == OF_TAX
        watch = stubs.indicators.WatchIndicators(
            messages.WatchIndicatorsRequest(kind=indicator_pb2.INDICATOR_KIND_LINK), timeout=DEADLINE
        )
        seen = [cast(messages.WatchIndicatorsResponse, await watch.read()) for _ in OF_TAX]
        assert {one.indicator.id for one in seen} == OF_TAX
        watch.cancel()


async def test_only_what_an_agency_sees_is_looked_up(api, secured):
    """A list reads no indicator that its caller may not see: among a million links that would take minutes."""
    async with secured.channel("tax.example") as channel:
        request = messages.ListIndicatorsRequest(kind=indicator_pb2.INDICATOR_KIND_LINK)
        assert len((await Stubs(channel).indicators.ListIndicators(request)).indicators) == len(OF_TAX)
    assert {entity for _, entity, _ in api.state.model._requested} == OF_TAX


def test_entities_are_visible_together_as_each_is(register):
    """Of many entities, a caller sees those that it sees by themselves, in the same order."""
    view = RegisterView(register)
    for caller in (PUBLIC, UNRESTRICTED, *(Caller(Role.AGENCY, agency) for agency in (*register.agencies, "nobody"))):
        for kind in IndicatorKind:
            ids = view.ids(kind)
            assert list(caller.visible(kind, ids, view)) == [one for one in ids if caller.sees(kind, one, register)]


async def test_an_agency_does_not_learn_which_services_of_others_exist(secured):
    """If an agency sees no link of a service, the refusal is the same as for a service that does not exist."""
    async with secured.channel("tax.example") as channel:
        stub = Stubs(channel).indicators

        async def answer(service):
            try:
                found = await stub.ListLinks(messages.ListLinksRequest(service=service), timeout=DEADLINE)
            except grpc.aio.AioRpcError as error:
                return error.code(), error.details(), tuple(error.trailing_metadata() or ())
            return {one.link.id for one in found.links}

        assert await answer("title-transfer") == await answer("no-such-service")
        assert (await answer("title-transfer"))[0] is grpc.StatusCode.PERMISSION_DENIED
        assert await answer("title-deed") == {"deed-tax"}  # the tax office is its provider
        assert await answer("tax-clearance") == {"clearance-land", "clearance-customs"}


async def test_an_agency_without_anything_watches_nothing(secured):
    """An agency that has nothing of a kind is refused a watch of the whole kind."""
    async with secured.channel("nowhere.example") as channel:
        stubs = Stubs(channel)
        assert not await stubs.sees(
            "WatchIndicators", messages.WatchIndicatorsRequest(kind=indicator_pb2.INDICATOR_KIND_LINK)
        )
        assert not (await stubs.indicators.ListLinks(messages.ListLinksRequest())).links


async def test_an_auditor_sees_everything(secured):
    """An auditor may make every call."""
    async with secured.channel("audit.example") as channel:
        stubs = Stubs(channel)
        assert all((await _rights(stubs)).values())
        assert len((await stubs.indicators.ListLinks(messages.ListLinksRequest())).links) == 8


def test_every_method_has_its_rule():
    """Every served method has a rule, and every rule has a method."""
    files = (messages, register_messages, health_pb2, reflection_pb2)
    services = [service for file in files for service in file.DESCRIPTOR.services_by_name.values()]
    assert {method.name for service in services for method in service.methods} == set(RULES)


def test_unknown_entities_belong_to_no_agency(register):
    """An entity that the register does not have is visible to auditors alone, whatever its kind."""
    for kind in (IndicatorKind.SERVICE, IndicatorKind.LINK, IndicatorKind.ENDPOINT):
        assert UNRESTRICTED.sees(kind, "gone", register)
        assert not Caller(Role.AGENCY, "tax-office").sees(kind, "gone", register)
        assert not PUBLIC.sees(kind, "gone", register)
    assert int(indicator_pb2.INDICATOR_KIND_LINK) == IndicatorKind.LINK
