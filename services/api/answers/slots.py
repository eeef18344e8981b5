"""The slots of one link: the verdict of each, why, and what every vantage reported.

What the evidence blocks hold is told as it stands, settled or not; slots whose block is gone (blocks are kept for
48 hours) and slots in which the link is not required are left out. Before it is live, a link is NOT_CONNECTED/ABSENT in
every slot, whatever was measured (docs/method.md §3).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from peyvand.v1 import indicator_service_pb2, outcome_pb2
from services.core.blocks import SlotBlock
from services.core.bus import SLOTS_PER_BLOCK
from services.core.codec import to_timestamp
from services.core.model import Link, Outcome, Reason
from services.indicator.calendar import Calendar
from services.indicator.requirements import RequiredSlots
from services.indicator.verdicts import TargetSlots, counting_vantages

__all__ = ["chunks", "slot_messages"]


def chunks(slots: range) -> range:
    """Return the numbers of the chunks that hold these slots."""
    return range(slots.start // SLOTS_PER_BLOCK, -(-slots.stop // SLOTS_PER_BLOCK)) if slots else range(0)


def slot_messages(
    link: Link, calendar: Calendar, slots: range, blocks: Mapping[int, SlotBlock]
) -> Iterator[indicator_service_pb2.Slot]:
    """Yield the link's slots in order; ``blocks`` are by chunk, those that are gone left out."""
    required = RequiredSlots.of_link(link, calendar)
    wanted = range(max(slots.start, required.in_force.start), min(slots.stop, required.in_force.stop))
    for chunk in chunks(wanted):
        start = chunk * SLOTS_PER_BLOCK
        part = range(max(start, wanted.start), min(start + SLOTS_PER_BLOCK, wanted.stop))
        block = blocks.get(chunk)
        if block is None:
            # Of slots before the link is live the register alone decides.
            part = range(part.start, min(part.stop, required.live_from))
        yield from _of_chunk(link, calendar, required, part, block)


def _of_chunk(
    link: Link, calendar: Calendar, required: RequiredSlots, slots: range, block: SlotBlock | None
) -> Iterator[indicator_service_pb2.Slot]:
    vantages = () if block is None else block.vantages
    counting = counting_vantages(link.vantages, vantages)
    verdict = np.zeros(len(slots), dtype=np.uint8)
    outcome, reason = np.zeros((2, len(slots), len(vantages)), dtype=np.uint8)
    reported = range(0)
    if block is not None and link.id in block.links:
        column = block.links.index(link.id)
        stop = min(slots.stop, block.first_slot + len(block.verdict))
        reported = range(max(slots.start, block.first_slot), stop)
        to = slice(reported.start - slots.start, max(reported.start, stop) - slots.start)
        rows = slice(reported.start - block.first_slot, max(reported.start, stop) - block.first_slot)
        verdict[to] = block.verdict[rows, column]
        outcome[to], reason[to] = block.outcome[rows, column], block.reason[rows, column]
    judged = TargetSlots.of(np.array(slots, dtype=np.int64), required, verdict, outcome, reason, counting)
    for row, slot in enumerate(slots):
        message = indicator_service_pb2.Slot(
            slot_start=to_timestamp(calendar.start_of(slot)),
            verdict=outcome_pb2.Outcome.ValueType(int(judged.verdict[row])),
            reason=outcome_pb2.Reason.ValueType(int(judged.reason[row])),
        )
        if slot in reported and slot >= required.live_from:
            message.vantages.extend(
                indicator_service_pb2.VantageOutcome(
                    vantage=vantages[position],
                    outcome=outcome_pb2.Outcome.ValueType(int(outcome[row, position]) or Outcome.UNKNOWN),
                    reason=outcome_pb2.Reason.ValueType(int(reason[row, position]) or Reason.NO_MEASUREMENT),
                )
                for position in np.flatnonzero(counting).tolist()
            )
        yield message
