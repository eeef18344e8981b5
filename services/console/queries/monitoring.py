"""Turns the api's message on how healthy Peyvand itself is into a value."""

from __future__ import annotations

from typing import Any

from services.core.model import Monitoring, Reason, StreamHealth, VantageHealth


def monitoring_of(message: Any) -> Monitoring:
    """Return the value of a message Monitoring."""
    return Monitoring(
        slots_from=message.slots_from.seconds,
        slots_to=message.slots_to.seconds,
        vantages=tuple(
            VantageHealth(
                vantage=one.vantage,
                expected=one.expected,
                delivered=one.delivered,
                unknown=tuple((Reason(count.reason), count.measurements) for count in one.unknown),
                newest_slot=one.newest_slot.seconds if one.HasField("newest_slot") else None,
            )
            for one in message.vantages
        ),
        streams=tuple(
            StreamHealth(
                stream=one.stream,
                messages=one.messages,
                bytes=one.bytes,
                limit_bytes=one.limit_bytes,
                last_sequence=one.last_sequence,
                behind=one.behind if one.HasField("behind") else None,
                lost=one.lost,
                gaps_accepted=one.gaps_accepted,
            )
            for one in message.streams
        ),
        since=message.since.seconds,
        late=message.late,
        refused=message.refused,
        rejected=message.rejected,
        batches_missing=message.batches_missing,
        batches_broken=message.batches_broken,
    )
