"""Links with their indicators, what their agencies exchanged, and their slots."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from google.protobuf.timestamp_pb2 import Timestamp

from peyvand.v1 import indicator_service_pb2
from services.api.access.rules import caller
from services.api.answers.blocks import Reconciliations
from services.api.answers.register_messages import link_message
from services.api.answers.slots import chunks, slot_messages
from services.api.errors import InvalidRequestError, RequestError, UnavailableError
from services.api.model.read_model import ReadModel, block_key
from services.api.model.register_view import RegisterView
from services.api.paging import cut
from services.core.blocks import SlotBlock, decode_slot_block
from services.core.bus import slot_key
from services.core.codec import from_timestamp, reconciliation_to_message, volume_to_message
from services.core.errors import BusError
from services.core.model import IndicatorKind, Link

__all__ = ["MOST_SLOTS", "LinkAnswers"]

MOST_SLOTS = 10_000
_AT_ONCE = 16  # slot blocks asked of the bus at a time
_READ_SECONDS = 10.0


class LinkAnswers:
    """Answers about links. ``read`` returns a value of bucket `indicator` by its key; ``clock`` is epoch seconds."""

    def __init__(
        self, model: ReadModel, *, read: Callable[[str], Awaitable[bytes | None]], clock: Callable[[], float]
    ) -> None:
        self._model = model
        self._reconciliations = Reconciliations(model)
        self._read = read
        self._clock = clock

    def page(self, request: indicator_service_pb2.ListLinksRequest) -> indicator_service_pb2.ListLinksResponse:
        """Return one page of links in id order; one without a published indicator comes without."""
        view = self._model.view
        days = view.window(request.window_days)
        found, who = self._reconciliations.shown(request.finding, days), caller()
        page = cut(
            view.links(consumer=request.consumer, provider=request.provider, service=request.service),
            ("ListLinks", request.consumer, request.provider, request.service, str(days), str(request.finding)),
            size=request.page_size,
            token=request.page_token,
            shown=lambda one: (found is None or found(one)) and who.sees(IndicatorKind.LINK, one, view.register),
        )
        return indicator_service_pb2.ListLinksResponse(
            links=[self._status(view, view.register.links[one], days) for one in page.ids],
            next_page_token=page.next_token,
        )

    async def one(self, request: indicator_service_pb2.GetLinkRequest) -> indicator_service_pb2.GetLinkResponse:
        """Return one link, with its slots when they are asked for. Raises RequestError."""
        view = self._model.view
        days = view.window(request.window_days)
        link = view.register.links[view.entity(IndicatorKind.LINK, request.link)]
        answer = indicator_service_pb2.GetLinkResponse(link=self._status(view, link, days))
        if request.HasField("slots_from"):
            slots = self._slots(view, request, answer.link.indicator.as_of)
            blocks = await self._blocks(view, link, slots)
            answer.slots.extend(slot_messages(link, view.calendar, slots, blocks))
        elif request.HasField("slots_to"):
            raise _bad_range("slots_to is given without slots_from")
        return answer

    def _status(self, view: RegisterView, link: Link, days: int) -> indicator_service_pb2.LinkStatus:
        published = self._model.find(IndicatorKind.LINK, link.id, days)
        consumer = view.register.consumer(link)
        block = self._model.blocks.get(block_key(consumer))
        volumes = () if block is None else block.exchanges
        volume = next((one for one in volumes if one.provider == link.provider and not one.meta), None)
        reconciliation = self._reconciliations.of(link, days)
        return indicator_service_pb2.LinkStatus(
            link=link_message(view.register, link),
            indicator=None if published is None else published.message,
            exchanges=None if volume is None else volume_to_message(volume),
            reconciliation=None if reconciliation is None else reconciliation_to_message(reconciliation),
        )

    def _slots(self, view: RegisterView, request: indicator_service_pb2.GetLinkRequest, as_of: Timestamp) -> range:
        """The slots that start in [slots_from, slots_to) and have started; without slots_to, those before as_of."""
        seconds = view.calendar.slot_seconds
        try:
            start = from_timestamp(request.slots_from)
            end = from_timestamp(request.slots_to if request.HasField("slots_to") else as_of)
        except ValueError as error:
            raise _bad_range("slots_from and slots_to must be moments in the years 1 to 9999") from error
        if end <= start and request.HasField("slots_to"):
            raise _bad_range("slots_to is not after slots_from")
        slots = range(int(-(-start // seconds)), int(min(-(-end // seconds), self._clock() // seconds + 1)))
        if len(slots) > MOST_SLOTS:
            raise InvalidRequestError(
                "SLOTS_TOO_MANY",
                f"{len(slots)} slots are asked for, more than {MOST_SLOTS}: ask for a shorter time",
                slots=str(len(slots)),
            )
        return slots

    async def _blocks(self, view: RegisterView, link: Link, slots: range) -> dict[int, SlotBlock]:
        agency = view.register.consumer(link)
        wanted = chunks(slots)
        found: dict[int, SlotBlock] = {}
        try:
            async with asyncio.timeout(_READ_SECONDS):
                for position in range(0, len(wanted), _AT_ONCE):
                    some = wanted[position : position + _AT_ONCE]
                    values = await asyncio.gather(*(self._read(slot_key(agency, chunk)) for chunk in some))
                    found.update(
                        (chunk, decode_slot_block(value))
                        for chunk, value in zip(some, values, strict=True)
                        if value is not None
                    )
        except (BusError, TimeoutError) as error:
            raise UnavailableError(
                "EVIDENCE_UNREACHABLE",
                f"the slots of link `{link.id}` cannot be read as the bus does not answer: retry, or ask without slots",
                link=link.id,
            ) from error
        return found


def _bad_range(why: str) -> RequestError:
    return InvalidRequestError(
        "SLOT_RANGE_INVALID",
        f"{why}: slots that start in [slots_from, slots_to) are returned",
    )
