"""Calls that a console makes for others, over TLS with certificates of our own."""

from __future__ import annotations

from typing import Any, cast

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from peyvand.v1 import indicator_service_pb2 as messages
from peyvand.v1 import indicator_service_pb2_grpc, register_service_pb2_grpc
from peyvand.v1 import register_service_pb2 as register_messages
from tests.support.cases.api.secured import OF_TAX
from tests.support.waiting import DEADLINE

EVERY_LINK = 8


async def links_seen(channel: grpc.aio.Channel, *roles: str) -> set[str] | str:
    """Return the links that a call for these roles lists, or the reason for its refusal."""
    stub = indicator_service_pb2_grpc.IndicatorServiceStub(channel)
    metadata = tuple(("peyvand-role", role) for role in roles)
    try:
        answer = await stub.ListLinks(messages.ListLinksRequest(), timeout=DEADLINE, metadata=metadata)
    except grpc.aio.AioRpcError as error:
        info = error_details_pb2.ErrorInfo()
        status = rpc_status.from_call(cast(Any, error))
        assert status is not None
        assert status.details[0].Unpack(info)
        return f"{error.code().name} {info.reason}"
    return {status.link.id for status in answer.links}


@pytest.mark.parametrize(
    ("name", "most"),
    [("pages.example", "public"), ("tax-pages.example", "agency:tax-office"), ("all-pages.example", "auditor")],
)
async def test_a_console_sees_no_more_than_it_is_given(secured, name, most):
    """A console acts for the public and for roles up to the limit in clients.yaml. Every role above is refused."""
    async with secured.channel(name) as channel:
        assert await links_seen(channel) == "PERMISSION_DENIED NOT_VISIBLE"
        assert await links_seen(channel, "public") == "PERMISSION_DENIED NOT_VISIBLE"
        own, other, everything = [
            await links_seen(channel, role) for role in ("agency:tax-office", "agency:customs", "auditor")
        ]
    refused = "PERMISSION_DENIED ROLE_NOT_GIVEN"
    assert own == (refused if most == "public" else OF_TAX)
    assert other == (refused if most != "auditor" else {"clearance-customs", "permit-tax", "transfer-customs"})
    assert everything == refused if most != "auditor" else len(everything) == EVERY_LINK


@pytest.mark.parametrize("name", ["anybody.example", "tax.example", "audit.example"])
@pytest.mark.parametrize("role", ["public", "agency:tax-office", "auditor"])
async def test_nobody_else_makes_calls_for_others(secured, name, role):
    """Any other caller that names a role is refused, even for its own role or a lesser one."""
    async with secured.channel(name) as channel:
        assert await links_seen(channel, role) == "PERMISSION_DENIED ROLE_NOT_GIVEN"


@pytest.mark.parametrize("role", ["", "king", "agency", "agency:", "auditor:x", "public ", "Auditor", "console"])
async def test_a_role_that_is_none_is_refused(secured, role):
    """A misspelt role is refused, and nothing is guessed from it."""
    async with secured.channel("all-pages.example") as channel:
        assert await links_seen(channel, role) == "INVALID_ARGUMENT ROLE_UNKNOWN"


async def test_a_second_role_is_refused(secured):
    """A call for two roles is refused in either order: a console cannot act for one role through another."""
    async with secured.channel("all-pages.example") as channel:
        assert await links_seen(channel, "auditor", "public") == "PERMISSION_DENIED ROLE_NOT_GIVEN"
        assert await links_seen(channel, "public", "auditor") == "PERMISSION_DENIED ROLE_NOT_GIVEN"


async def test_without_encryption_a_role_lowers_what_is_seen(api):
    """On loopback a caller sees everything, unless it names a role. That role limits it as over TLS."""
    assert len(await links_seen(api.channel)) == EVERY_LINK
    assert await links_seen(api.channel, "public") == "PERMISSION_DENIED NOT_VISIBLE"
    assert await links_seen(api.channel, "agency:tax-office") == OF_TAX


async def test_the_public_finds_and_is_told_nothing_of_links(noted_and_secured):
    """For the public, search, announcements and maintenance hold agencies and above, and objections are refused."""
    async with noted_and_secured.channel("anybody.example") as channel:
        register = register_service_pb2_grpc.RegisterServiceStub(channel)
        found = await register.Search(register_messages.SearchRequest(query="customs"), timeout=DEADLINE)
        assert [result.id for result in found.results] == ["customs"]
        announced = await register.ListAnnouncements(register_messages.ListAnnouncementsRequest(), timeout=DEADLINE)
        assert [list(one.links) for one in announced.announcements] == [[], []]
        listed = await register.ListMaintenance(register_messages.ListMaintenanceRequest(), timeout=DEADLINE)
        assert [one.subject for one in listed.maintenance] == ["customs"]
        for call in (
            register.ListObjections(register_messages.ListObjectionsRequest(), timeout=DEADLINE),
            register.ListMaintenance(register_messages.ListMaintenanceRequest(subject="deed-tax"), timeout=DEADLINE),
            register.ListMaintenance(register_messages.ListMaintenanceRequest(subject="no-such"), timeout=DEADLINE),
        ):
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await call
            assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED


async def test_an_agency_is_told_of_its_own_links(noted_and_secured):
    """An agency sees objections to, and finds, only those links in which it is consumer or provider."""
    async with noted_and_secured.channel("tax.example") as channel:
        register = register_service_pb2_grpc.RegisterServiceStub(channel)
        objections = await register.ListObjections(register_messages.ListObjectionsRequest(), timeout=DEADLINE)
        assert [one.link for one in objections.objections] == ["deed-tax"]
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await register.ListObjections(register_messages.ListObjectionsRequest(link="deed-civil"), timeout=DEADLINE)
        assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED
        found = await register.Search(register_messages.SearchRequest(query="civil"), timeout=DEADLINE)
        assert [result.id for result in found.results] == ["civil-registry"]
