"""Answers with links, their indicators, the exchanges of their agencies, and their slots."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from heapq import nsmallest

import numpy as np
from google.protobuf.timestamp_pb2 import Timestamp

from peyvand.v1 import indicator_service_pb2 as messages
from peyvand.v1 import outcome_pb2
from services.api.access import current_caller
from services.api.answers.blocks import decoded, find_volume
from services.api.answers.link_findings import LinkFindingIndex
from services.api.answers.notices import objection_message
from services.api.answers.register_messages import link_message
from services.api.errors import InvalidRequestError, UnavailableError
from services.api.model import ReadModel, RegisterView, agency_block_key
from services.api.paging import MAX_SIZE, page_of
from services.core.blocks import SlotBlock, decode_slot_block
from services.core.bus import SLOTS_PER_BLOCK, group_of, slot_key
from services.core.codec import from_timestamp, to_timestamp
from services.core.errors import BusError
from services.core.model import IndicatorKind, Link, Outcome, Reason
from services.core.tasks import Slices
from services.indicator.calendar import Calendar
from services.indicator.requirements import RequiredSlots
from services.indicator.verdicts import TargetSlots, counting_vantages

MAX_SLOTS = 10_000
_CONCURRENT_READS = 16
_READ_SECONDS = 10.0

ReadValue = Callable[[str], Awaitable[bytes | None]]
"""Returns a value of bucket `indicator` by its key. Raises BusError when the bus does not answer."""


class LinkAnswers:
    """Answers about links; ``clock`` is in epoch seconds."""

    def __init__(self, model: ReadModel, *, read: ReadValue, clock: Callable[[], float]) -> None:
        self._model = model
        self._findings = LinkFindingIndex(model)
        self._read = read
        self._clock = clock

    async def list_links(self, view: RegisterView, request: messages.ListLinksRequest) -> messages.ListLinksResponse:
        """Return one page of links in id order; an unpublished indicator is unset. Raises RequestError."""
        caller, days = current_caller(), view.window(request.window_days)
        links = view.links(consumer=request.consumer, provider=request.provider, service=request.service)
        if request.finding:
            found = await self._findings.links(view, request.finding, days)
            chosen = frozenset(found)
            links = found if len(links) == len(view.register.links) else [link for link in links if link in chosen]
        links = caller.visible(IndicatorKind.LINK, links, view)
        wanted = frozenset(request.links)
        page = page_of(
            [link for link in links if link in wanted] if wanted else links,
            (
                *("ListLinks", request.consumer, request.provider, request.service, str(days), str(request.finding)),
                *sorted(wanted),
            ),
            size=request.page_size,
            token=request.page_token,
        )
        statuses, next_token = page.bounded(await self._statuses(view, page.ids, days))
        return messages.ListLinksResponse(links=statuses, next_page_token=next_token)

    async def of_agency(self, kind: IndicatorKind, agency: str, window_days: int, most: int) -> messages.AgencyRole:
        """Return ``most`` links of an agency in one role, the lowest lower bound first, and how many there are.

        For a provider, also return those whose certificate expires soon.
        """
        view, caller = self._model.view, current_caller()
        filters = {"consumer": agency} if kind is IndicatorKind.CONSUMER else {"provider": agency}
        found = caller.visible(IndicatorKind.LINK, view.links(**filters), view)
        expiring = [link for link in found if self._expires(view, link)] if kind is IndicatorKind.PROVIDER else []
        worst = self._lowest(view, found, window_days, most) if most else []
        return messages.AgencyRole(
            links=await self._statuses(view, worst, window_days),
            link_count=len(found),
            expiring=await self._statuses(view, expiring[:MAX_SIZE], window_days),
        )

    def _lowest(self, view: RegisterView, links: Sequence[str], days: int, most: int) -> list[str]:
        """Return the links with the lowest lower bounds, 0 where none is published.

        Bounds are read by column: a registry that a third of all links ask would take seconds by indicator.
        """
        lower, links_of, consumer = dict.fromkeys(links, 0.0), view.register.links, view.register.consumer
        for key in {agency_block_key(consumer(links_of[link])) for link in links}:
            block = self._model.blocks.get(key)
            if block is not None:
                bounds = zip(*block.column("lower", IndicatorKind.LINK, days), strict=True)
                lower.update((link, bound) for link, bound in bounds if link in lower)
        return nsmallest(most, links, key=lambda link: (lower[link], link))

    def _expires(self, view: RegisterView, link: str) -> bool:
        block = self._model.blocks.get(agency_block_key(view.register.consumer(view.register.links[link])))
        return block is not None and link in block.certificates

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

    async def _statuses(self, view: RegisterView, links: Sequence[str], days: int) -> list[messages.LinkStatus]:
        """Return links as they are published, in the order given. Pauses for other calls, as each link may parse a block."""
        found, slices = {}, Slices()
        # By consumer: a block that does not stay parsed is then parsed once, and not again for each link.
        for link in sorted(links, key=lambda link: view.register.consumer(view.register.links[link])):
            found[link] = self._status(view, view.register.links[link], days)
            await slices.pause()
        return [found[link] for link in links]

    def _status(self, view: RegisterView, link: Link, days: int) -> messages.LinkStatus:
        published = self._model.find(IndicatorKind.LINK, link.id, days)
        block = self._model.parsed_block(agency_block_key(view.register.consumer(link)))
        return messages.LinkStatus(
            link=link_message(view.register, link),
            indicator=None if published is None else published.message,
            exchanges=find_volume(block, link.provider),
            reconciliation=None if block is None else block.reconciliation(link.id, days),
            objections=map(objection_message, view.objections.get(link.id, ())),
            certificate_expiry=None if block is None else block.certificates.get(link.id),
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
        group, numbers = group_of(view.register.consumer(link)), block_numbers(slots)
        blocks: dict[int, SlotBlock] = {}
        try:
            async with asyncio.timeout(_READ_SECONDS):
                for position in range(0, len(numbers), _CONCURRENT_READS):
                    batch = numbers[position : position + _CONCURRENT_READS]
                    keys = [slot_key(group, number) for number in batch]
                    for number, key, value in zip(
                        batch, keys, await asyncio.gather(*map(self._read, keys)), strict=True
                    ):
                        block = None if value is None else decoded(key, value, decode_slot_block)
                        if block is not None:
                            blocks[number] = block
        except (BusError, TimeoutError) as error:
            raise UnavailableError(
                "EVIDENCE_UNREACHABLE",
                f"the slots of link `{link.id}` cannot be read as the bus does not answer: retry, or ask without slots",
                link=link.id,
            ) from error
        return blocks


def _bad_range(why: str) -> InvalidRequestError:
    return InvalidRequestError("SLOT_RANGE_INVALID", f"{why}: slots that start in [slots_from, slots_to) are returned")


def block_numbers(slots: range) -> range:
    """Return the numbers of the blocks that hold these slots."""
    return range(slots.start // SLOTS_PER_BLOCK, -(-slots.stop // SLOTS_PER_BLOCK)) if slots else range(0)


def slot_messages(
    link: Link, calendar: Calendar, slots: range, blocks: Mapping[int, SlotBlock]
) -> Iterator[messages.Slot]:
    """Yield the link's slots in order, from ``blocks`` by their numbers."""
    required = RequiredSlots.of_link(link, calendar)
    in_force = range(max(slots.start, required.in_force.start), min(slots.stop, required.in_force.stop))
    for number in block_numbers(in_force):
        start = number * SLOTS_PER_BLOCK
        part = range(max(start, in_force.start), min(start + SLOTS_PER_BLOCK, in_force.stop))
        block = blocks.get(number)
        if block is None:
            # The verdicts of slots before the link is live follow from the register alone.
            part = range(part.start, min(part.stop, required.live_from))
        yield from _of_block(link, calendar, required, part, block)


def _of_block(
    link: Link, calendar: Calendar, required: RequiredSlots, slots: range, block: SlotBlock | None
) -> Iterator[messages.Slot]:
    vantages = () if block is None else block.vantages
    counting = counting_vantages(link.vantages, vantages)
    verdict = np.zeros(len(slots), dtype=np.uint8)
    outcome, reason = np.zeros((2, len(slots), len(vantages)), dtype=np.uint8)
    reported = range(0)
    if block is not None and link.id in block.links:
        column = block.links.index(link.id)
        first, last = block.first_slot, block.first_slot + len(block.verdict)
        reported = range(max(slots.start, first), max(slots.start, first, min(slots.stop, last)))
        to = slice(reported.start - slots.start, reported.stop - slots.start)
        rows = slice(reported.start - first, reported.stop - first)
        verdict[to] = block.verdict[rows, column]
        outcome[to], reason[to] = block.outcome[rows, column], block.reason[rows, column]
    judged = TargetSlots.of(np.array(slots, dtype=np.int64), required, verdict, outcome, reason, counting)
    for row, slot in enumerate(slots):
        message = messages.Slot(
            slot_start=to_timestamp(calendar.start_of(slot)),
            verdict=outcome_pb2.Outcome.ValueType(int(judged.verdict[row])),
            reason=outcome_pb2.Reason.ValueType(int(judged.reason[row])),
        )
        if slot in reported and slot >= required.live_from:
            message.vantages.extend(
                messages.VantageOutcome(
                    vantage=vantages[position],
                    outcome=outcome_pb2.Outcome.ValueType(int(outcome[row, position]) or Outcome.UNKNOWN),
                    reason=outcome_pb2.Reason.ValueType(int(reason[row, position]) or Reason.NO_MEASUREMENT),
                )
                for position in np.flatnonzero(counting).tolist()
            )
        yield message
