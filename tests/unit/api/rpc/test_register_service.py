"""RegisterService over a real gRPC server."""

from __future__ import annotations

import grpc

from peyvand.v1 import register_service_pb2 as messages
from tests.support.cases.api.blocks import AS_OF


async def test_the_register_tells_its_versions_and_its_size(api):
    """GetRegister returns metadata, both versions, the time of publication and the number of entries."""
    answer = await api.registers.GetRegister(messages.GetRegisterRequest())
    assert (answer.government, answer.name_fa, answer.timezone) == ("country", "کشور", "Asia/Tehran")
    assert answer.register_version == api.register.register_version
    assert answer.probe_version == api.register.probe_version
    assert answer.published.ToMicroseconds() == int((AS_OF - 0.5) * 1e6)
    assert answer.epoch.seconds == 1_767_213_000  # midnight of 1 January 2026 in Tehran
    assert (answer.slot_seconds, list(answer.windows_days), list(answer.vantages)) == (
        *(300, [7, 28, 90], ["north", "south"]),
    )
    assert (answer.agencies, answer.services, answer.links, answer.links_absent, answer.endpoints) == (4, 5, 8, 1, 2)
    assert answer.publish_threshold == 0.8


async def test_agencies_and_services_are_listed_in_pages(api):
    """Lists have filters, pages and the fields of each entry."""
    first = await api.registers.ListAgencies(messages.ListAgenciesRequest(page_size=3))
    rest = await api.registers.ListAgencies(messages.ListAgenciesRequest(page_token=first.next_page_token))
    listed = [*first.agencies, *rest.agencies]
    assert [one.id for one in listed] == ["civil-registry", "customs", "land-registry", "tax-office"]
    assert (listed[0].name_fa, listed[0].staff, listed[0].satisfaction) == ("سازمان ثبت احوال", 4200, 71.5)
    assert not listed[1].HasField("staff")
    justice = await api.registers.ListAgencies(messages.ListAgenciesRequest(sector="justice"))
    assert [one.id for one in justice.agencies] == ["civil-registry", "land-registry"]

    services = (await api.registers.ListServices(messages.ListServicesRequest(agency="land-registry"))).services
    assert [(one.id, one.weight, one.links_required, one.links_absent) for one in services] == [
        *(("title-deed", 2.0, 2, 0), ("title-transfer", 1.0, 2, 1)),
    ]


async def test_unknown_filters_and_a_missing_register_are_refused(api, refusal):
    """An unknown sector or agency is NOT_FOUND."""
    code, info, _ = await refusal(api.registers.ListAgencies(messages.ListAgenciesRequest(sector="no")))
    assert (code, info.reason) == (grpc.StatusCode.NOT_FOUND, "SECTOR_UNKNOWN")
    code, info, _ = await refusal(api.registers.ListServices(messages.ListServicesRequest(agency="no")))
    assert (code, info.reason) == (grpc.StatusCode.NOT_FOUND, "AGENCY_UNKNOWN")


async def test_without_a_register_the_register_service_is_unavailable(empty_api, refusal):
    """Before a register is in force every method is UNAVAILABLE."""
    for call in (
        empty_api.registers.GetRegister(messages.GetRegisterRequest()),
        empty_api.registers.ListAgencies(messages.ListAgenciesRequest()),
        empty_api.registers.ListServices(messages.ListServicesRequest()),
    ):
        code, info, _ = await refusal(call)
        assert (code, info.reason) == (grpc.StatusCode.UNAVAILABLE, "REGISTER_UNPUBLISHED")
