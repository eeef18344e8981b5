"""What the bus carried between two agencies, as blocks of KV bucket `indicator` hold it."""

from __future__ import annotations

from dataclasses import dataclass

from peyvand.v1 import block_pb2
from services.core.codec.units import timestamp

__all__ = ["ExchangeVolume", "volume_from_message", "volume_to_message"]


@dataclass(frozen=True, slots=True)
class ExchangeVolume:
    """Exchanges between one consumer and one provider, on whichever links; times in epoch seconds.

    ``last_slot`` is the slot of the last one. Counted are those in slots that start in [``slots_from``, ``slots_to``); both
    are None in blocks of before they were kept.
    """

    consumer: str
    provider: str
    meta: bool
    count: int
    ok: int
    bus_failures: int
    provider_failures: int
    last_slot: int
    slots_from: int | None = None
    slots_to: int | None = None


def volume_to_message(volume: ExchangeVolume) -> block_pb2.ExchangeVolume:
    """The message of what one pair of agencies exchanged."""
    return block_pb2.ExchangeVolume(
        consumer=volume.consumer,
        provider=volume.provider,
        meta=volume.meta,
        count=volume.count,
        ok=volume.ok,
        bus_failures=volume.bus_failures,
        provider_failures=volume.provider_failures,
        last_slot=timestamp(volume.last_slot),
        slots_from=None if volume.slots_from is None else timestamp(volume.slots_from),
        slots_to=None if volume.slots_to is None else timestamp(volume.slots_to),
    )


def volume_from_message(message: block_pb2.ExchangeVolume) -> ExchangeVolume:
    """What one pair of agencies exchanged."""
    return ExchangeVolume(
        message.consumer,
        message.provider,
        message.meta,
        message.count,
        message.ok,
        message.bus_failures,
        message.provider_failures,
        message.last_slot.seconds,
        message.slots_from.seconds if message.HasField("slots_from") else None,
        message.slots_to.seconds if message.HasField("slots_to") else None,
    )
