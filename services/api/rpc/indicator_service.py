"""IndicatorService: indicators got, listed and watched, from the read model."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from peyvand.v1 import indicator_service_pb2
from services.api.access.roles import ABOVE
from services.api.access.rules import caller, not_visible
from services.api.answers.blocks import structure_answer, traffic_answer
from services.api.answers.evidence import Findings
from services.api.answers.explanation import Explainer
from services.api.answers.history import History
from services.api.answers.link_shares import Gathering
from services.api.answers.links import LinkAnswers
from services.api.answers.tabulation import Tabulator
from services.api.errors import InvalidRequestError, UnavailableError
from services.api.model.read_model import ReadModel, named_kind
from services.api.model.watch import WatchHub
from services.api.paging import MOST, cut
from services.api.rpc.handlers import Context
from services.core.model import IndicatorKind

__all__ = ["IndicatorServicer"]

_NAMED = 10  # providers and links an explanation names unless told otherwise
_WITHOUT_SECTOR = (IndicatorKind.GOVERNMENT, IndicatorKind.SECTOR)


class IndicatorServicer:
    """Answers from memory; only a link's slots and the history are read from the bus, on demand."""

    def __init__(
        self, model: ReadModel, hub: WatchHub, links: LinkAnswers, history: History, findings: Findings
    ) -> None:
        self._model = model
        self._hub = hub
        self._links = links
        self._history = history
        self._gathering = Gathering(model)
        self._explainer = Explainer(self._gathering, findings)
        self._tabulator = Tabulator(self._gathering)

    async def get_indicator(self, request: indicator_service_pb2.GetIndicatorRequest, _: Context) -> bytes:
        """One indicator, serialised once per refresh."""
        return self._model.get(request.kind, request.id, request.window_days).answer

    async def list_indicators(
        self, request: indicator_service_pb2.ListIndicatorsRequest, _: Context
    ) -> indicator_service_pb2.ListIndicatorsResponse:
        """Indicators of one kind in id order, of one sector if one is given; those not published are left out."""
        kind, view, who = named_kind(request.kind), self._model.view, caller()
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
        self._require_published()
        page = cut(
            view.ids(kind, request.sector),
            ("ListIndicators", kind.label, request.sector, str(days)),
            size=request.page_size,
            token=request.page_token,
            shown=lambda one: self._model.find(kind, one, days) is not None and who.sees(kind, one, view.register),
        )
        return indicator_service_pb2.ListIndicatorsResponse(
            indicators=[self._model.get(kind, one, days).message for one in page.ids],
            next_page_token=page.next_token,
        )

    async def explain_indicator(
        self, request: indicator_service_pb2.ExplainIndicatorRequest, _: Context
    ) -> indicator_service_pb2.ExplainIndicatorResponse:
        """Losses by stage and provider, and the links that would raise it most if fixed, of those that the caller sees."""
        if request.limit > MOST:
            raise InvalidRequestError(
                "LIMIT_TOO_LARGE",
                f"limit {request.limit} is more than {MOST}: ask for fewer",
                limit=str(request.limit),
            )
        found = self._model.get(request.kind, request.id, request.window_days).indicator
        answer = await self._explainer.answer(found.kind, found.id, found.window_days, request.limit or _NAMED)
        who, register = caller(), self._model.view.register
        if not who.sees_everything:
            seen = [one for one in answer.links if who.sees(IndicatorKind.LINK, one.link.id, register)]
            answer.ClearField("links")
            answer.links.extend(seen)
        return answer

    async def watch_indicators(
        self, request: indicator_service_pb2.WatchIndicatorsRequest, _: Context
    ) -> AsyncGenerator[bytes, None]:
        """What is published now, then each indicator when it changes; what is not published yet, as soon as it is."""
        kind, view = named_kind(request.kind), self._model.view
        days = view.window(request.window_days)
        ids = [view.entity(kind, one) for one in request.ids]
        who = caller()
        if not ids and not who.sees_everything and kind not in ABOVE:
            ids = [one for one in view.ids(kind) if who.sees(kind, one, view.register)]
            if not ids:
                raise not_visible(who)
        with self._hub.watch(kind, days, ids) as watch:
            for one in ids or view.ids(kind):
                published = self._model.find(kind, one, days)
                if published is not None:
                    watch.offer(published)
            async for published in watch.changes():
                yield published.answer

    async def list_links(
        self, request: indicator_service_pb2.ListLinksRequest, _: Context
    ) -> indicator_service_pb2.ListLinksResponse:
        """Links in id order, of a consumer, provider and service where given, and of what exchanges say."""
        return self._links.page(request)

    async def get_link(
        self, request: indicator_service_pb2.GetLinkRequest, _: Context
    ) -> indicator_service_pb2.GetLinkResponse:
        """One link, with its slots when they are asked for."""
        return await self._links.one(request)

    async def get_history(
        self, request: indicator_service_pb2.GetHistoryRequest, context: Context
    ) -> indicator_service_pb2.GetHistoryResponse:
        """What was published of one entity over time, oldest first."""
        return await self._history.answer(request, context.time_remaining())

    async def get_structure(
        self, request: indicator_service_pb2.GetStructureRequest, _: Context
    ) -> indicator_service_pb2.GetStructureResponse:
        """How the agencies hang together, and the three bars."""
        return structure_answer(self._model, request.window_days)

    async def tabulate_indicators(
        self, request: indicator_service_pb2.TabulateIndicatorsRequest, _: Context
    ) -> indicator_service_pb2.TabulateIndicatorsResponse:
        """The index by an attribute of services or their agencies."""
        days = self._model.view.window(request.window_days)
        return await self._tabulator.answer(request.attribute, days)

    async def get_traffic(
        self, request: indicator_service_pb2.GetTrafficRequest, _: Context
    ) -> indicator_service_pb2.GetTrafficResponse:
        """What the buses carried, and what of it no link is listed for."""
        return traffic_answer(self._model, request.window_days)

    def _require_published(self) -> None:
        if not self._model.complete:
            raise UnavailableError("INDICATOR_UNPUBLISHED", "no index is published yet: retry later")
