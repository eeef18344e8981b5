"""Calls of IndicatorService, except those about links."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import aclosing

from peyvand.v1 import finding_pb2, indicator_pb2
from peyvand.v1 import indicator_service_pb2 as messages
from services.client.calls import IndicatorServiceCalls
from services.core.codec import to_timestamp
from services.core.model import IndicatorKind


class IndicatorCalls(IndicatorServiceCalls):
    """Calls that tell how far agencies answer each other, and why."""

    async def indicator(self, kind: IndicatorKind, entity: str = "", window_days: int = 0) -> indicator_pb2.Indicator:
        """Return one indicator; the government needs no id."""
        request = messages.GetIndicatorRequest(kind=_number(kind), id=entity, window_days=window_days)
        return (await self._calls.unary(self._indicators.GetIndicator, request)).indicator

    def indicators(
        self, kind: IndicatorKind, *, sector: str = "", agency: str = "", window_days: int = 0
    ) -> AsyncIterator[indicator_pb2.Indicator]:
        """Yield the indicators of a kind in id order, of one sector, or the services of one agency, if one is given."""
        request = messages.ListIndicatorsRequest(
            kind=_number(kind), sector=sector, agency=agency, window_days=window_days
        )
        return self._calls.entries(self._indicators.ListIndicators, request, lambda page: page.indicators)

    async def watch(
        self, kind: IndicatorKind, ids: Iterable[str] = (), window_days: int = 0
    ) -> AsyncGenerator[indicator_pb2.Indicator, None]:
        """Yield the indicators of some entities as they are now, and each of them whenever it changes.

        Without ``ids``, these are all entities. The iterator never ends by itself: it waits while the api is away, and
        then it yields all indicators again. Close it (``aclose``) to end it.
        """
        request = messages.WatchIndicatorsRequest(kind=_number(kind), ids=ids, window_days=window_days)
        async with aclosing(self._calls.stream(self._indicators.WatchIndicators, request)) as changes:
            async for change in changes:
                yield change.indicator

    def history(
        self,
        kind: IndicatorKind,
        entity: str = "",
        window_days: int = 0,
        *,
        since: float | None = None,
        until: float | None = None,
        step_seconds: int = 0,
    ) -> AsyncIterator[indicator_pb2.Indicator]:
        """Yield the published indicators of an entity with ``as_of`` in [since, until), in epoch seconds, oldest first.

        With ``step_seconds``, yield only the last one of each step.
        """
        request = messages.GetHistoryRequest(
            kind=_number(kind), id=entity, window_days=window_days, step_seconds=step_seconds
        )
        if since is not None:
            getattr(request, "from").CopyFrom(to_timestamp(since))
        if until is not None:
            request.to.CopyFrom(to_timestamp(until))
        return self._calls.entries(self._indicators.GetHistory, request, lambda page: page.indicators)

    async def explain(
        self, kind: IndicatorKind, entity: str = "", window_days: int = 0, *, limit: int = 0
    ) -> messages.ExplainIndicatorResponse:
        """Return the parts of one indicator, with at most ``limit`` providers and links (0: the api's default)."""
        request = messages.ExplainIndicatorRequest(kind=_number(kind), id=entity, window_days=window_days, limit=limit)
        return await self._calls.unary(self._indicators.ExplainIndicator, request)

    async def agency(
        self,
        agency: str,
        window_days: int = 0,
        *,
        limit: int = 0,
        links: int = 0,
        since: float | None = None,
        step_seconds: int = 0,
    ) -> messages.GetAgencyResponse:
        """Return one agency in both roles, explained, with its ``links`` worst links and its services.

        ``limit`` is that of ``explain``. With ``since``, in epoch seconds, the answer also has the indicators published
        from then on.
        """
        request = messages.GetAgencyRequest(
            agency=agency,
            window_days=window_days,
            limit=limit,
            links=links,
            history_step_seconds=step_seconds,
            history_from=None if since is None else to_timestamp(since),
        )
        return await self._calls.unary(self._indicators.GetAgency, request)

    async def structure(self, window_days: int = 0) -> messages.GetStructureResponse:
        """Return which agencies reach each other, and the three bars."""
        request = messages.GetStructureRequest(window_days=window_days)
        return await self._calls.unary(self._indicators.GetStructure, request)

    async def tabulate(
        self, attribute: messages.TabulatedAttribute.ValueType, window_days: int = 0
    ) -> messages.TabulateIndicatorsResponse:
        """Return the index by an attribute of services or of their agencies."""
        request = messages.TabulateIndicatorsRequest(attribute=attribute, window_days=window_days)
        return await self._calls.unary(self._indicators.TabulateIndicators, request)

    async def traffic(self, window_days: int = 0) -> messages.GetTrafficResponse:
        """Return the traffic of the buses, and the part of it that no link is listed for."""
        request = messages.GetTrafficRequest(window_days=window_days)
        return await self._calls.unary(self._indicators.GetTraffic, request)

    async def monitoring(self) -> messages.GetMonitoringResponse:
        """Return how well Peyvand itself measures and reads."""
        return await self._calls.unary(self._indicators.GetMonitoring, messages.GetMonitoringRequest())

    def findings(
        self,
        kind: finding_pb2.FindingKind.ValueType = finding_pb2.FINDING_KIND_UNSPECIFIED,
        *,
        agency: str = "",
        link: str = "",
        ended: bool = False,
    ) -> AsyncIterator[messages.ListFindingsResponse]:
        """Yield findings about exchanges that match every filter given, the newest first.

        They come in pages that say how many may be false. With ``ended``, findings that are over are among them.
        """
        request = messages.ListFindingsRequest(kind=kind, agency=agency, link=link, ended=ended)
        return self._calls.pages(self._indicators.ListFindings, request)


def _number(kind: IndicatorKind) -> indicator_pb2.IndicatorKind.ValueType:
    return indicator_pb2.IndicatorKind.ValueType(kind)
