"""The slots of one link: the verdict of each, why, and what every vantage reported.

What the evidence blocks hold is told as it stands, settled or not; slots whose block is gone (blocks are kept for
48 hours) and slots in which the link is not required are left out. Before it is live, a link is NOT_CONNECTED/ABSENT in
every slot, whatever was measured (docs/method.md §3).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from peyvand.v1 import indicator_service_pb2, outcome_pb2
from services.core.blocks import SlotBlock
from services.core.codec import to_timestamp
from services.core.model import ALWAYS, Link, Outcome, Reason
from services.indicator.calendar import Calendar

__all__ = ["chunks", "slot_key", "slot_messages", "span_of"]

_SLOTS_PER_BLOCK = 64
_FOREVER = 1 << 62


def slot_key(agency: str, chunk: int) -> str:
    """Key in bucket `indicator` of one consumer agency's slots of one chunk."""
    return f"slot.{agency}.{chunk}"


def chunks(slots: range) -> range:
    """Return the numbers of the chunks that hold these slots."""
    return range(slots.start // _SLOTS_PER_BLOCK, -(-slots.stop // _SLOTS_PER_BLOCK)) if slots else range(0)


def slot_messages(
    link: Link, calendar: Calendar, slots: range, blocks: Mapping[int, SlotBlock]
) -> Iterator[indicator_service_pb2.Slot]:
    """Yield the link's slots in order; ``blocks`` are by chunk, those that are gone left out."""
    first, end, live = span_of(link, calendar)
    wanted = range(max(slots.start, first), min(slots.stop, end))
    for chunk in chunks(wanted):
        block = blocks.get(chunk)
        column = block.links.index(link.id) if block is not None and link.id in block.links else None
        start = chunk * _SLOTS_PER_BLOCK
        for number in range(max(start, wanted.start), min(start + _SLOTS_PER_BLOCK, wanted.stop)):
            if number < live:
                yield _slot(calendar, number, Outcome.NOT_CONNECTED, Reason.ABSENT)
            elif block is not None:
                yield _judged(link, calendar, number, block, column)


def span_of(link: Link, calendar: Calendar) -> tuple[int, int, int]:
    """Return the first slot in which the link is required, the first in which it no longer is, the first in which it is live."""
    first = calendar.epoch_slot
    if link.required_from is not None:
        first = max(first, calendar.first_slot(link.required_from))
    end = _FOREVER if link.required_until is None else calendar.first_slot(link.required_until)
    if link.live_from is None:
        return first, end, _FOREVER
    # The first of all days has no midnight in epoch seconds everywhere.
    return first, end, first if link.live_from == ALWAYS else calendar.first_slot(link.live_from)


def _judged(
    link: Link, calendar: Calendar, number: int, block: SlotBlock, column: int | None
) -> indicator_service_pb2.Slot:
    row = number - block.first_slot
    if column is None or not 0 <= row < len(block.verdict):
        return _slot(calendar, number, Outcome.UNKNOWN, Reason.NO_MEASUREMENT)
    verdict = int(block.verdict[row, column]) or int(Outcome.UNKNOWN)
    reason = int(Reason.NO_MEASUREMENT)
    reported = []
    for position, vantage in enumerate(block.vantages):
        if link.vantages and vantage not in link.vantages:
            continue
        outcome = int(block.outcome[row, column, position]) or int(Outcome.UNKNOWN)
        why = int(block.reason[row, column, position]) or int(Reason.NO_MEASUREMENT)
        if outcome == verdict and reason == Reason.NO_MEASUREMENT:
            reason = why  # that of the first vantage which saw what the verdict says
        reported.append(
            indicator_service_pb2.VantageOutcome(
                vantage=vantage,
                outcome=outcome_pb2.Outcome.ValueType(outcome),
                reason=outcome_pb2.Reason.ValueType(why),
            )
        )
    message = _slot(calendar, number, verdict, reason)
    message.vantages.extend(reported)
    return message


def _slot(calendar: Calendar, number: int, verdict: int, reason: int) -> indicator_service_pb2.Slot:
    return indicator_service_pb2.Slot(
        slot_start=to_timestamp(calendar.start_of(number)),
        verdict=outcome_pb2.Outcome.ValueType(verdict),
        reason=outcome_pb2.Reason.ValueType(reason),
    )
