"""Links with their indicators, the exchanges of their agencies, and their slots."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from google.protobuf.timestamp_pb2 import Timestamp

from peyvand.v1 import indicator_service_pb2 as messages
from services.api.access import current_caller
from services.api.answers.blocks import ReconciliationIndex, find_volume
from services.api.answers.register_messages import link_message
from services.api.answers.slots import block_numbers, slot_messages
from services.api.errors import InvalidRequestError, UnavailableError
from services.api.model import ReadModel, RegisterView
from services.api.paging import page_of
from services.core.blocks import SlotBlock, decode_slot_block
from services.core.bus import consumer_key, slot_key
from services.core.codec import from_timestamp
from services.core.errors import BusError
from services.core.model import IndicatorKind, Link

MAX_SLOTS = 10_000
_CONCURRENT_READS = 16
_READ_SECONDS = 10.0

ReadValue = Callable[[str], Awaitable[bytes | None]]
"""Returns a value of bucket `indicator` by its key. BusError when the bus does not answer."""


class LinkAnswers:
    """Answers about links; ``clock`` is in epoch seconds."""

    def __init__(self, model: ReadModel, *, read: ReadValue, clock: Callable[[], float]) -> None:
        self._model = model
        self._reconciliations = ReconciliationIndex(model)
        self._read = read
        self._clock = clock

    def list_links(self, request: messages.ListLinksRequest) -> messages.ListLinksResponse:
        """Return one page of links in id order; an unpublished indicator is unset. Raises RequestError."""
        view, caller = self._model.view, current_caller()
        days = view.window(request.window_days)
        has_finding = self._reconciliations.filter(request.finding, days)
        page = page_of(
            view.links(consumer=request.consumer, provider=request.provider, service=request.service),
            ("ListLinks", request.consumer, request.provider, request.service, str(days), str(request.finding)),
            size=request.page_size,
            token=request.page_token,
            visible=lambda link: (
                (has_finding is None or has_finding(link)) and caller.sees(IndicatorKind.LINK, link, view.register)
            ),
        )
        return messages.ListLinksResponse(
            links=[self._status(view, view.register.links[link], days) for link in page.ids],
            next_page_token=page.next_token,
        )

    async def get_link(self, request: messages.GetLinkRequest) -> messages.GetLinkResponse:
        """Return one link, with the slots that were requested. Raises RequestError."""
        view = self._model.view
        days = view.window(request.window_days)
        link = view.register.links[view.entity(IndicatorKind.LINK, request.link)]
        answer = messages.GetLinkResponse(link=self._status(view, link, days))
        if request.HasField("slots_from"):
            slots = self._slots(view, request, answer.link.indicator.as_of)
            blocks = await self._read_blocks(view, link, slots)
            answer.slots.extend(slot_messages(link, view.calendar, slots, blocks))
        elif request.HasField("slots_to"):
            raise _bad_range("slots_to is given without slots_from")
        return answer

    def _status(self, view: RegisterView, link: Link, days: int) -> messages.LinkStatus:
        published = self._model.find(IndicatorKind.LINK, link.id, days)
        block = self._model.blocks.get(consumer_key(view.register.consumer(link)))
        return messages.LinkStatus(
            link=link_message(view.register, link),
            indicator=None if published is None else published.message,
            exchanges=find_volume(block, link.provider),
            reconciliation=self._reconciliations.find(link, days),
        )

    def _slots(self, view: RegisterView, request: messages.GetLinkRequest, as_of: Timestamp) -> range:
        """Return the slots that start in [slots_from, slots_to) and have started; without slots_to, those before as_of."""
        seconds = view.calendar.slot_seconds
        try:
            start = from_timestamp(request.slots_from)
            end = from_timestamp(request.slots_to if request.HasField("slots_to") else as_of)
        except ValueError as error:
            raise _bad_range("slots_from and slots_to must be moments in the years 1 to 9999") from error
        if end <= start and request.HasField("slots_to"):
            raise _bad_range("slots_to is not after slots_from")
        slots = range(int(-(-start // seconds)), int(min(-(-end // seconds), self._clock() // seconds + 1)))
        if len(slots) > MAX_SLOTS:
            raise InvalidRequestError(
                "SLOTS_TOO_MANY",
                f"{len(slots)} slots are requested, more than {MAX_SLOTS}: request a shorter time",
                slots=str(len(slots)),
            )
        return slots

    async def _read_blocks(self, view: RegisterView, link: Link, slots: range) -> dict[int, SlotBlock]:
        agency, numbers = view.register.consumer(link), block_numbers(slots)
        blocks: dict[int, SlotBlock] = {}
        try:
            async with asyncio.timeout(_READ_SECONDS):
                for position in range(0, len(numbers), _CONCURRENT_READS):
                    batch = numbers[position : position + _CONCURRENT_READS]
                    values = await asyncio.gather(*(self._read(slot_key(agency, number)) for number in batch))
                    blocks.update(
                        (number, decode_slot_block(value))
                        for number, value in zip(batch, values, strict=True)
                        if value is not None
                    )
        except (BusError, TimeoutError) as error:
            raise UnavailableError(
                "EVIDENCE_UNREACHABLE",
                f"the slots of link `{link.id}` cannot be read as the bus does not answer: retry, or ask without slots",
                link=link.id,
            ) from error
        return blocks


def _bad_range(why: str) -> InvalidRequestError:
    return InvalidRequestError("SLOT_RANGE_INVALID", f"{why}: slots that start in [slots_from, slots_to) are returned")
