"""Calls of RegisterService."""

from __future__ import annotations

from collections.abc import AsyncIterator
from zoneinfo import ZoneInfo

import grpc.aio

from peyvand.v1 import register_pb2, register_service_pb2_grpc
from peyvand.v1 import register_service_pb2 as messages
from services.client.calls import Calls


class RegisterCalls:
    """Calls that read the register in force: the denominator of the index, and what its keepers tell readers."""

    def __init__(self, channel: grpc.aio.Channel, calls: Calls) -> None:
        self._calls = calls
        self._register = register_service_pb2_grpc.RegisterServiceStub(channel)

    async def register(self) -> messages.GetRegisterResponse:
        """Return metadata and versions of the register in force."""
        return await self._calls.unary(self._register.GetRegister, messages.GetRegisterRequest())

    async def timezone(self) -> ZoneInfo:
        """Return the timezone of days (policy.yaml)."""
        return ZoneInfo((await self.register()).timezone)

    def agencies(self, sector: str = "") -> AsyncIterator[register_pb2.Agency]:
        """Yield agencies in id order, of one sector if one is given."""
        request = messages.ListAgenciesRequest(sector=sector)
        return self._calls.entries(self._register.ListAgencies, request, lambda page: page.agencies)

    def services(self, agency: str = "") -> AsyncIterator[register_pb2.Service]:
        """Yield services in id order, of one agency if one is given."""
        request = messages.ListServicesRequest(agency=agency)
        return self._calls.entries(self._register.ListServices, request, lambda page: page.services)

    async def rounds(self) -> messages.ListEvaluationRoundsResponse:
        """Return the official rounds that the register lists."""
        return await self._calls.unary(self._register.ListEvaluationRounds, messages.ListEvaluationRoundsRequest())

    async def frozen_rounds(self) -> messages.ListFrozenRoundsResponse:
        """Return the rounds frozen from evidence, the newest first."""
        return await self._calls.unary(self._register.ListFrozenRounds, messages.ListFrozenRoundsRequest())

    def announcements(self) -> AsyncIterator[register_pb2.Announcement]:
        """Yield every announcement, in id order."""
        request = messages.ListAnnouncementsRequest()
        return self._calls.entries(self._register.ListAnnouncements, request, lambda page: page.announcements)

    def objections(self, *, link: str = "", agency: str = "") -> AsyncIterator[register_pb2.Objection]:
        """Yield objections in order of link and time, to one link or to the links of one agency if these are given."""
        request = messages.ListObjectionsRequest(link=link, agency=agency)
        return self._calls.entries(self._register.ListObjections, request, lambda page: page.objections)

    def maintenance(self, subject: str = "") -> AsyncIterator[register_pb2.Maintenance]:
        """Yield announced maintenance in order of subject and time, of one agency, link or endpoint if one is given."""
        request = messages.ListMaintenanceRequest(subject=subject)
        return self._calls.entries(self._register.ListMaintenance, request, lambda page: page.maintenance)

    async def search(self, query: str, limit: int = 20) -> list[messages.SearchResult]:
        """Return at most ``limit`` agencies, services and links whose names or ids hold every word, the closest first."""
        answer = await self._calls.unary(self._register.Search, messages.SearchRequest(query=query, page_size=limit))
        return list(answer.results)
