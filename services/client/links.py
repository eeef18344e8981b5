"""Calls of IndicatorService about links, and about pairs of agencies or sectors with links."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable

from peyvand.v1 import indicator_service_pb2 as messages
from services.client.calls import IndicatorServiceCalls
from services.core.codec import to_timestamp
from services.core.errors import ApiUnavailableError

_REFRESHES = 3
"""How many times a list is read while its pages mix two refreshes: a refresh takes longer than a list does."""


class LinkCalls(IndicatorServiceCalls):
    """Calls that tell who asks whom, and how each link is."""

    async def pairs(
        self,
        level: messages.PairLevel.ValueType = messages.PAIR_LEVEL_AGENCY,
        *,
        consumer: str = "",
        provider: str = "",
        consumer_sector: str = "",
        provider_sector: str = "",
        window_days: int = 0,
    ) -> messages.ListPairsResponse:
        """Return all pairs that match every filter given, from one refresh, with all pages in one answer."""
        for _ in range(_REFRESHES):
            request = messages.ListPairsRequest(
                level=level,
                consumer=consumer,
                provider=provider,
                consumer_sector=consumer_sector,
                provider_sector=provider_sector,
                window_days=window_days,
            )
            pages = [page async for page in self._calls.pages(self._indicators.ListPairs, request)]
            if len({(page.as_of.seconds, page.register_version, page.evidence_sequence) for page in pages}) == 1:
                answer = pages[-1]
                pairs = [pair for page in pages for pair in page.pairs]
                del answer.pairs[:]
                answer.pairs.extend(pairs)
                return answer
        raise ApiUnavailableError("the pairs changed while they were read: try again")

    def links(
        self,
        *,
        consumer: str = "",
        provider: str = "",
        service: str = "",
        finding: messages.LinkFinding.ValueType = messages.LINK_FINDING_UNSPECIFIED,
        links: Iterable[str] = (),
        window_days: int = 0,
        states: bool = False,
    ) -> AsyncIterator[messages.LinkStatus]:
        """Yield the links that match every filter given, in id order, with their indicators.

        With ``states``, which needs a service, also with the states of its newest slots.
        """
        request = messages.ListLinksRequest(
            consumer=consumer,
            provider=provider,
            service=service,
            finding=finding,
            links=links,
            window_days=window_days,
            states=states,
        )
        return self._calls.entries(self._indicators.ListLinks, request, lambda page: page.links)

    async def link(
        self, link: str, window_days: int = 0, *, slots_from: float | None = None, slots_to: float | None = None
    ) -> messages.GetLinkResponse:
        """Return one link, with its slots that start in [slots_from, slots_to) in epoch seconds if they are given."""
        request = messages.GetLinkRequest(
            link=link,
            window_days=window_days,
            slots_from=None if slots_from is None else to_timestamp(slots_from),
            slots_to=None if slots_to is None else to_timestamp(slots_to),
        )
        return await self._calls.unary(self._indicators.GetLink, request)
