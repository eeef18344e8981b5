"""Serves IndicatorService: gets, lists, explains and watches indicators."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from sys import intern

from peyvand.v1 import indicator_pb2
from peyvand.v1 import indicator_service_pb2 as messages
from peyvand.v1 import register_service_pb2 as register_messages
from services.api.access import PUBLIC_KINDS, current_caller, not_visible
from services.api.answers import (
    EvidenceReader,
    Explainer,
    FindingAnswers,
    HistoryReader,
    LinkAnswers,
    NoticeAnswers,
    PairAnswers,
    Tabulator,
    WindowEvidenceCache,
    monitoring_answer,
    structure_answer,
    traffic_answer,
)
from services.api.errors import InvalidRequestError, NotApplicableError, UnavailableError
from services.api.model import ReadModel, RegisterView, WatchHub, parse_kind
from services.api.paging import MAX_SIZE, first_page, ids_after, page_size
from services.api.rpc.handlers import Context
from services.core.model import IndicatorKind
from services.core.tasks import Slices

_DEFAULT_LIMIT = 10
"""How many providers and links an explanation has unless requested otherwise."""

MAX_WATCHED = 1000
"""How many ids a watch may name: as many as a page holds."""

_WITHOUT_SECTOR = (IndicatorKind.GOVERNMENT, IndicatorKind.SECTOR)


class IndicatorServicer:
    """Answers from memory; slots, evidence and history are read on demand, from the bus or the archive's dataset."""

    def __init__(
        self, model: ReadModel, hub: WatchHub, *, links: LinkAnswers, history: HistoryReader, evidence: EvidenceReader
    ) -> None:
        self._model = model
        self._hub = hub
        self._links = links
        self._history = history
        self._evidence = evidence
        windows = WindowEvidenceCache(model)
        self._explainer = Explainer(windows, evidence)
        self._tabulator = Tabulator(windows)
        self._pairs = PairAnswers(model, windows)
        self._findings = FindingAnswers(model)
        self._notices = NoticeAnswers(model)

    async def get_indicator(self, request: messages.GetIndicatorRequest, _: Context) -> bytes:
        """Return one indicator, serialised once per refresh."""
        return self._model.get(request.kind, request.id, request.window_days).answer

    async def list_indicators(
        self, request: messages.ListIndicatorsRequest, _: Context
    ) -> messages.ListIndicatorsResponse:
        """Return published indicators of one kind in id order, of one sector or one agency's services if one is given."""
        kind, view, caller = parse_kind(request.kind), self._model.view, current_caller()
        days = view.window(request.window_days)
        if request.sector:
            if kind in _WITHOUT_SECTOR:
                raise InvalidRequestError(
                    "FILTER_NOT_APPLICABLE",
                    f"sector does not filter kind {kind.label}: leave it empty",
                    kind=kind.label,
                    sector=request.sector,
                )
            view.entity(IndicatorKind.SECTOR, request.sector)
        ids = view.ids(kind, request.sector)
        if request.agency:
            if kind is not IndicatorKind.SERVICE or request.sector:
                raise InvalidRequestError(
                    "FILTER_NOT_APPLICABLE",
                    "agency filters services of every sector: ask for kind service, and leave sector empty",
                    kind=kind.label,
                    agency=request.agency,
                )
            ids = view.services_of.get(view.entity(IndicatorKind.CONSUMER, request.agency), ())
        if not self._model.complete:
            raise UnavailableError("INDICATOR_UNPUBLISHED", "no index is published yet: retry later")
        query = "ListIndicators", kind.label, request.sector, request.agency, str(days)
        visible = caller.visible(kind, ids, view)  # first: looking for an indicator may parse a whole block
        found, slices = dict[str, indicator_pb2.Indicator](), Slices()
        for entity in ids_after(visible, query, request.page_token):
            published = self._model.find(kind, entity, days)
            if published is not None:
                found[entity] = published.message
            if len(found) > page_size(request.page_size):
                break
            await slices.pause()
        page = first_page(found, query, request.page_size)
        indicators, next_token = page.bounded(found[entity] for entity in page.ids)
        return messages.ListIndicatorsResponse(indicators=indicators, next_page_token=next_token)

    async def explain_indicator(
        self, request: messages.ExplainIndicatorRequest, _: Context
    ) -> messages.ExplainIndicatorResponse:
        """Return losses by stage and provider, and the visible links whose repair would raise the indicator most."""
        if request.limit > MAX_SIZE:
            raise _too_many("limit", request.limit)
        indicator = self._model.get(request.kind, request.id, request.window_days).message
        kind, limit = IndicatorKind(indicator.kind), request.limit or _DEFAULT_LIMIT
        answer = await self._explainer.answer(kind, indicator.id, indicator.window_days, limit)
        caller, register = current_caller(), self._model.view.register
        if not caller.sees_everything:
            visible = [cost for cost in answer.links if caller.sees(IndicatorKind.LINK, cost.link.id, register)]
            answer.ClearField("links")
            answer.links.extend(visible)
        return answer

    async def watch_indicators(
        self, request: messages.WatchIndicatorsRequest, _: Context
    ) -> AsyncGenerator[bytes, None]:
        """Yield what is published now, then each indicator when it changes or is first published."""
        kind, view, caller = parse_kind(request.kind), self._model.view, current_caller()
        days = view.window(request.window_days)
        if (distinct := len(set(request.ids))) > MAX_WATCHED:
            raise InvalidRequestError(
                "IDS_TOO_MANY",
                f"{distinct} ids are more than {MAX_WATCHED} for one watch: open several, or watch the whole kind",
                ids=str(distinct),
            )
        ids = list(dict.fromkeys(intern(view.entity(kind, entity)) for entity in request.ids))
        of_register = not ids and not caller.sees_everything and kind not in PUBLIC_KINDS
        if of_register:
            ids = list(caller.visible(kind, view.ids(kind), view))
            if not ids:
                raise not_visible(caller)
        with self._hub.watch(kind, days, ids, of_register=of_register) as watch:
            slices = Slices()
            for published in self._model.find_all(kind, ids or view.ids(kind), days):
                watch.offer(published)
                await slices.pause()
            async for published in watch.changes():
                if caller.sees(kind, published.message.id, self._model.view.register):  # by the register now in force
                    yield published.answer

    async def list_links(self, request: messages.ListLinksRequest, _: Context) -> messages.ListLinksResponse:
        """Return links in id order, filtered by consumer, provider, service and finding where given."""
        view = self._model.view
        answer = await self._links.list_links(view, request)
        if request.states:
            await self._add_states(view, request.service, answer)
        return answer

    async def _add_states(self, view: RegisterView, service: str, answer: messages.ListLinksResponse) -> None:
        if not service:
            raise InvalidRequestError("STATES_WITHOUT_SERVICE", "states are of one service's links: name the service")
        agency = view.register.services[service].agency
        states = await self._evidence.states(view, agency, [status.link.id for status in answer.links])
        for status in answer.links:
            state = states.get(status.link.id)
            if state is not None:
                status.state.CopyFrom(state)

    async def get_link(self, request: messages.GetLinkRequest, _: Context) -> messages.GetLinkResponse:
        """Return one link, with the slots that were requested."""
        answer = await self._links.get_link(request)
        answer.findings.extend(self._findings.going_on(link=answer.link.link.id))
        return answer

    async def get_agency(self, request: messages.GetAgencyRequest, context: Context) -> messages.GetAgencyResponse:
        """Return one agency in both roles, with its services and announced maintenance."""
        view = self._model.view
        agency, days = view.entity(IndicatorKind.CONSUMER, request.agency), view.window(request.window_days)
        if request.links > MAX_SIZE:
            raise _too_many("links", request.links)
        services = messages.ListIndicatorsRequest(
            kind=indicator_pb2.INDICATOR_KIND_SERVICE, agency=agency, window_days=days, page_size=MAX_SIZE
        )
        work = register_messages.ListMaintenanceRequest(subject=agency, page_size=MAX_SIZE)
        return messages.GetAgencyResponse(
            consumer=await self._role(IndicatorKind.CONSUMER, agency, request, context),
            provider=await self._role(IndicatorKind.PROVIDER, agency, request, context),
            services=(await self.list_indicators(services, context)).indicators,
            maintenance=self._notices.maintenance(work).maintenance,
            findings=self._findings.going_on(agency=agency),
        )

    async def _role(
        self, kind: IndicatorKind, agency: str, request: messages.GetAgencyRequest, context: Context
    ) -> messages.AgencyRole:
        """Return an agency in one role, without a number when nothing is required of it in that role."""
        days, number = self._model.view.window(request.window_days), indicator_pb2.IndicatorKind.ValueType(kind)
        wanted = messages.ExplainIndicatorRequest(kind=number, id=agency, window_days=days, limit=request.limit)
        role = await self._links.of_agency(kind, agency, days, request.links)
        try:
            role.explanation.CopyFrom(await self.explain_indicator(wanted, context))
        except NotApplicableError:
            return role
        if request.HasField("history_from"):
            past = messages.GetHistoryRequest(
                kind=number, id=agency, window_days=days, page_size=MAX_SIZE, step_seconds=request.history_step_seconds
            )
            getattr(past, "from").CopyFrom(request.history_from)
            role.history.extend((await self.get_history(past, context)).indicators)
        return role

    async def get_history(self, request: messages.GetHistoryRequest, context: Context) -> messages.GetHistoryResponse:
        """Return the indicators of one entity that were published over time, oldest first."""
        return await self._history.answer(request, context.time_remaining())

    async def get_structure(self, request: messages.GetStructureRequest, _: Context) -> messages.GetStructureResponse:
        """Return the structure of the agencies' links, and the three bars."""
        return structure_answer(self._model, request.window_days)

    async def tabulate_indicators(
        self, request: messages.TabulateIndicatorsRequest, _: Context
    ) -> messages.TabulateIndicatorsResponse:
        """Return the index by an attribute of services or their agencies."""
        days = self._model.view.window(request.window_days)
        return await self._tabulator.answer(request.attribute, days)

    async def get_traffic(self, request: messages.GetTrafficRequest, _: Context) -> messages.GetTrafficResponse:
        """Return the traffic of the buses, and the part of it without a listed link."""
        answer = traffic_answer(self._model, request.window_days)
        answer.findings.extend(self._findings.going_on())
        return answer

    async def list_pairs(self, request: messages.ListPairsRequest, _: Context) -> messages.ListPairsResponse:
        """Return the index of each pair of consumer and provider, in order of these."""
        return await self._pairs.answer(request)

    async def get_monitoring(self, _: messages.GetMonitoringRequest, __: Context) -> messages.GetMonitoringResponse:
        """Return how well Peyvand itself measures and reads."""
        return monitoring_answer(self._model)

    async def list_findings(self, request: messages.ListFindingsRequest, _: Context) -> messages.ListFindingsResponse:
        """Return findings about exchanges, the newest first."""
        return self._findings.list_findings(request)


def _too_many(name: str, number: int) -> InvalidRequestError:
    return InvalidRequestError(
        "LIMIT_TOO_LARGE", f"{name} {number} is more than {MAX_SIZE}: ask for fewer", **{name: str(number)}
    )
