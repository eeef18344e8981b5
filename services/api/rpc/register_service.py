"""Serves RegisterService: the register in force."""

from __future__ import annotations

from peyvand.v1 import register_pb2
from peyvand.v1 import register_service_pb2 as messages
from services.api.access import current_caller
from services.api.answers import (
    FrozenRoundAnswers,
    NoticeAnswers,
    Searcher,
    agency_message,
    evaluation_message,
    service_message,
)
from services.api.model import ReadModel
from services.api.paging import page_of
from services.api.rpc.handlers import Context
from services.core.codec import to_timestamp
from services.core.model import IndicatorKind


class RegisterServicer:
    """Answers from the read model, and from the folder of frozen rounds."""

    def __init__(self, model: ReadModel, frozen: FrozenRoundAnswers) -> None:
        self._model = model
        self._frozen = frozen
        self._notices = NoticeAnswers(model)
        self._searcher = Searcher(model)

    async def get_register(self, _: messages.GetRegisterRequest, __: Context) -> messages.GetRegisterResponse:
        """Return metadata and versions of the register in force, and how much it lists."""
        view = self._model.view
        register, policy = view.register, view.register.policy
        links, cited = len(register.links), view.links_with_legal_basis
        return messages.GetRegisterResponse(
            government=policy.government.id,
            name_en=policy.government.name_en,
            name_fa=policy.government.name_fa,
            register_version=register.register_version,
            probe_version=register.probe_version,
            published=None if view.published is None else to_timestamp(view.published),
            timezone=policy.timezone,
            epoch=to_timestamp(view.calendar.epoch),
            slot_seconds=policy.slot_seconds,
            windows_days=policy.windows_days,
            publish_threshold=policy.publish_threshold,
            vantages=[vantage.id for vantage in policy.vantages],
            agencies=len(register.agencies),
            services=len(register.services),
            links=links,
            links_absent=view.links_absent,
            endpoints=len(register.endpoints),
            links_with_legal_basis=cited,
            legal_basis_share=cited / links if links else None,
        )

    async def list_agencies(self, request: messages.ListAgenciesRequest, _: Context) -> messages.ListAgenciesResponse:
        """Return agencies in id order, of one sector if one is given."""
        view = self._model.view
        if request.sector:
            view.entity(IndicatorKind.SECTOR, request.sector)
        page = page_of(
            view.ids(IndicatorKind.CONSUMER, request.sector),
            ("ListAgencies", request.sector),
            size=request.page_size,
            token=request.page_token,
        )
        agencies, next_token = page.bounded(agency_message(view.register.agencies[agency]) for agency in page.ids)
        return messages.ListAgenciesResponse(agencies=agencies, next_page_token=next_token)

    async def list_services(self, request: messages.ListServicesRequest, _: Context) -> messages.ListServicesResponse:
        """Return services in id order, of one agency if one is given."""
        view, caller = self._model.view, current_caller()
        if request.agency:
            view.entity(IndicatorKind.CONSUMER, request.agency)
        services = view.register.services
        page = page_of(
            caller.visible(IndicatorKind.SERVICE, view.ids(IndicatorKind.SERVICE), view),
            ("ListServices", request.agency),
            size=request.page_size,
            token=request.page_token,
            visible=lambda service: request.agency in ("", services[service].agency),
        )
        listed, next_token = page.bounded(map(self._service, page.ids))
        return messages.ListServicesResponse(services=listed, next_page_token=next_token)

    async def list_evaluation_rounds(
        self, _: messages.ListEvaluationRoundsRequest, __: Context
    ) -> messages.ListEvaluationRoundsResponse:
        """Return official rounds as announced, with the growth between them; nothing where the register lists none."""
        return evaluation_message(self._model.view.register)

    async def list_frozen_rounds(
        self, _: messages.ListFrozenRoundsRequest, __: Context
    ) -> messages.ListFrozenRoundsResponse:
        """Return the rounds in the folder of frozen rounds, the newest first."""
        return await self._frozen.answer()

    async def list_announcements(
        self, request: messages.ListAnnouncementsRequest, _: Context
    ) -> messages.ListAnnouncementsResponse:
        """Return announcements in id order, with the links that the caller may see."""
        return self._notices.announcements(request)

    async def list_objections(
        self, request: messages.ListObjectionsRequest, _: Context
    ) -> messages.ListObjectionsResponse:
        """Return objections in order of link and time, to one link or to one agency's links if given."""
        return self._notices.objections(request)

    async def list_maintenance(
        self, request: messages.ListMaintenanceRequest, _: Context
    ) -> messages.ListMaintenanceResponse:
        """Return announced maintenance in order of subject and time, of one agency, link or endpoint if given."""
        return self._notices.maintenance(request)

    async def search(self, request: messages.SearchRequest, _: Context) -> messages.SearchResponse:
        """Return sectors, agencies, services and links by name or id, the closest first."""
        return await self._searcher.answer(request)

    def _service(self, service: str) -> register_pb2.Service:
        view = self._model.view
        links = view.links_by["service"].get(service, ())
        absent = sum(view.register.links[link].absent for link in links)
        return service_message(view.register.services[service], required=len(links), absent=absent)
