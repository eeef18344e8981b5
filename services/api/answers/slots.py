"""The slots of one link as messages: the verdict of each, why, and what every vantage reported.

Slots are shown as the slot blocks hold them, settled or not. Slots whose block is gone (blocks are kept for 48 hours) and
slots in which the link is not in force are left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from peyvand.v1 import indicator_service_pb2 as messages
from peyvand.v1 import outcome_pb2
from services.core.blocks import SlotBlock
from services.core.bus import SLOTS_PER_BLOCK
from services.core.codec import to_timestamp
from services.core.model import Link, Outcome, Reason
from services.indicator.calendar import Calendar
from services.indicator.requirements import RequiredSlots
from services.indicator.verdicts import TargetSlots, counting_vantages


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
